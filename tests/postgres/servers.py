"""Production's kind of servers for the tests: a PostgreSQL of the system, Temporal's state in it.

    python -m tests.postgres.servers pytest tests/integration …

starts a PostgreSQL 15 or newer (Debian: `apt-get install postgresql`), a Temporal server that keeps
executions and visibility in it, and runs the command with `EMITONCE_TEST_TEMPORAL` and
`EMITONCE_TEST_DATABASE_URL` set. Its exit code is the command's. Both servers end with it.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.connect import connect
from starter.dev.server_binary import build_server_binary
from starter.dev.temporal_server import TUNED, free_port

OLDEST = 15
HOST = "127.0.0.1"
START_SECONDS = 60


class NoPostgres(RuntimeError):
    """There is no PostgreSQL of the system that is new enough."""


def postgres_programs() -> Path:
    """The folder of the newest installed PostgreSQL's programs.

    Raises:
        NoPostgres: none, or only older ones than `OLDEST`.
    """
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    on_path = shutil.which("initdb")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    versions = {folder: _version(folder) for folder in folders}
    newest = max(versions, key=lambda folder: versions[folder], default=None)
    if newest is None or versions[newest] < OLDEST:
        raise NoPostgres(f"no PostgreSQL {OLDEST} or newer is installed (Debian: postgresql)")
    return newest


def _version(folder: Path) -> int:
    told = subprocess.run([folder / "initdb", "--version"], capture_output=True, text=True)
    found = re.search(r"\) (\d+)", told.stdout)
    return int(found[1]) if found else 0


@contextmanager
def postgres() -> Iterator[str]:
    """A server of its own on a free port, thrown away in the end; yields its URL.

    It doesn't wait for the disk: what is tested is not a power cut.
    """
    programs, port = postgres_programs(), free_port()
    # PostgreSQL refuses to run as root, so then it runs as the system's user for it.
    user = pwd.getpwnam("postgres").pw_name if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="emitonce-postgres-") as folder:
        data = Path(folder) / "data"
        if user:
            shutil.chown(folder, user)
        subprocess.run(
            [programs / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8"],
            check=True,
            user=user,
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        settings = {
            "listen_addresses": HOST,
            "port": str(port),
            "unix_socket_directories": folder,
            "max_connections": "300",
            "fsync": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (Path(folder) / "log").open("wb") as log:
            server = subprocess.Popen(
                [programs / "postgres", "-D", data, *options],
                user=user,
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                ready = [programs / "pg_isready", "-q", "-h", HOST, "-p", str(port)]
                _wait_until(lambda: subprocess.run(ready).returncode == 0, server)
                yield f"postgresql://postgres:any@{HOST}:{port}/postgres"
            finally:
                server.terminate()
                server.wait(START_SECONDS)


def _wait_until(ready: Callable[[], bool], server: subprocess.Popen[bytes]) -> None:
    async def poll() -> None:
        async with asyncio.timeout(START_SECONDS):
            while not await asyncio.to_thread(ready):
                assert server.poll() is None, "the server ended at once"
                await asyncio.sleep(0.1)

    asyncio.run(poll())


@contextmanager
def temporal(database_url: str) -> Iterator[str]:
    """A Temporal server of this repository on that PostgreSQL; yields its address.

    It is the one of `tools/temporal-dev`: the official command-line tool knows SQLite alone.
    """
    binary = asyncio.run(build_server_binary(print))
    port = free_port()
    url = database_url.rpartition("/")[0] + "/temporal"
    server = subprocess.Popen(
        [
            *(binary, "server", "start-dev", "--headless", "--log-level", "error"),
            *("--ip", HOST, "--port", str(port), "--postgres-url", url),
            *TUNED,
        ]
    )
    try:
        asyncio.run(_connected(f"{HOST}:{port}"))
        yield f"{HOST}:{port}"
    finally:
        server.terminate()
        server.wait(START_SECONDS)


async def _connected(address: str) -> None:
    await connect(address, timeout_seconds=START_SECONDS)


def main(command: list[str]) -> int:
    with postgres() as database_url, temporal(database_url) as address:
        servers = {"EMITONCE_TEST_TEMPORAL": address, "EMITONCE_TEST_DATABASE_URL": database_url}
        print(f"Temporal at {address}, its state in {database_url}", flush=True)
        return subprocess.run(command, env={**os.environ, **servers}).returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except NoPostgres as err:
        sys.exit(f"error: {err}")
