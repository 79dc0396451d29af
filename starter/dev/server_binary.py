"""Find, download or build the program of the Temporal development server.

In this order: `TEMPORAL_CLI_PATH`; `temporal` on PATH; what the SDK downloads for its own tests;
`tools/temporal-dev`, built with Go. A server older than `OLDEST_SERVER` is skipped and reported.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from temporalio.testing import WorkflowEnvironment

from engine.connect import OLDEST_SERVER
from starter.dev.files import last_lines, locked

OLDEST_GO = (1, 26)
SOURCES = Path(__file__).resolve().parents[2] / "tools" / "temporal-dev"
DOWNLOAD_SECONDS = 120
BUILD_SECONDS = 1_800
# The server links Google Storage's client for archival, which a development server doesn't do. This
# build tag, the client's own, leaves out its gRPC transport and 136 packages with it.
UNUSED = "disable_grpc_modules"

Say = Callable[[str], None]


class NoServerBinary(RuntimeError):
    """There is no development server and none can be built. The message says what would help."""


async def find_server_binary(say: Say) -> Path:
    """Return the path of a program that has `server start-dev`. `say` gets progress lines.

    Raises:
        NoServerBinary: see there.
    """
    installed = os.environ.get("TEMPORAL_CLI_PATH") or shutil.which("temporal")
    if installed:
        path = Path(installed)
        if _is_recent(path, say):
            return path
        if os.environ.get("TEMPORAL_CLI_PATH"):
            raise NoServerBinary(
                f"TEMPORAL_CLI_PATH: {path} is not a Temporal CLI with server "
                f"{_version(OLDEST_SERVER)} or newer; leave it unset to have one built"
            )
    cached = _built_path()
    if cached.exists():
        return cached
    downloaded = await _download()
    if downloaded is not None and _is_recent(downloaded, say):
        return downloaded
    return await build_server_binary(say)


async def build_server_binary(say: Say) -> Path:
    """Return the path of the server of `tools/temporal-dev`, built with Go if need be.

    Raises:
        NoServerBinary: Go is missing or too old, or the build failed.
    """
    return await asyncio.to_thread(_build, _built_path(), say)


def _is_recent(binary: Path, say: Say) -> bool:
    """Say whether its server is new enough, by its own `--version`."""
    try:
        told = subprocess.run(  # noqa: S603  the user's own program
            [str(binary), "--version"], capture_output=True, text=True, timeout=30, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False
    server = re.search(r"Server (\d+)\.(\d+)", told)
    if server is None:
        return False
    found = (int(server[1]), int(server[2]))
    if found < OLDEST_SERVER:
        say(
            f"skipping {binary}: its server is {_version(found)}, "
            f"{_version(OLDEST_SERVER)} is needed"
        )
        return False
    return True


async def _download() -> Path | None:
    """Let the SDK download its test server; None if its host can't be reached."""
    directory = _cache_dir() / "sdk"
    directory.mkdir(parents=True, exist_ok=True)
    try:
        async with asyncio.timeout(DOWNLOAD_SECONDS):
            environment = await WorkflowEnvironment.start_local(download_dest_dir=str(directory))
            await environment.shutdown()
    except (RuntimeError, TimeoutError):
        return None
    return next(iter(directory.glob("temporal-sdk-python-*")), None)


def _build(target: Path, say: Say) -> Path:
    go = _go()
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target.with_name("build.lock")):
        if target.exists():  # another process has built it while this one waited
            return target
        draft = target.with_name(f"{target.name}.{os.getpid()}")
        _run_build(go, draft, say)
        draft.rename(target)
    return target


def _run_build(go: str, draft: Path, say: Say) -> None:
    started = time.monotonic()
    command = [go, "build", "-trimpath", "-ldflags", "-s -w", "-tags", UNUSED]
    command += ["-o", str(draft), "."]
    log = draft.with_name("build.log")
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  our own sources, no shell
            command,
            cwd=SOURCES,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"},
        )
        try:
            while process.poll() is None:
                seconds = int(time.monotonic() - started)
                if seconds > BUILD_SECONDS:
                    raise NoServerBinary(
                        f"building the Temporal server took over {BUILD_SECONDS} s; see {log}"
                    )
                say(
                    f"building the Temporal server from source, {seconds} s "
                    "(4 to 6 minutes the first time)"
                )
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(10)
        finally:
            if process.poll() is None:
                process.kill()
    if process.returncode != 0:
        raise NoServerBinary(f"the Temporal server could not be built:\n{last_lines(log)}")


def _go() -> str:
    go = shutil.which("go")
    if go is None:
        raise NoServerBinary(
            "there is no Temporal server here: install the Temporal CLI "
            f"(server {_version(OLDEST_SERVER)} or newer), set TEMPORAL_ADDRESS to a running "
            f"server, or install Go {_version(OLDEST_GO)} to have one built"
        )
    told = subprocess.run(  # noqa: S603  the user's own Go
        [go, "env", "GOVERSION"], capture_output=True, text=True, check=False
    ).stdout
    version = re.match(r"go(\d+)\.(\d+)", told)
    if version is None or (int(version[1]), int(version[2])) < OLDEST_GO:
        raise NoServerBinary(
            f"building the Temporal server needs Go {_version(OLDEST_GO)}, {go} is {told.strip()}"
        )
    return go


def _built_path() -> Path:
    """Return where the built server is kept. The path depends on its sources."""
    digest = hashlib.sha256()
    for source in [*sorted(SOURCES.glob("*.go")), SOURCES / "go.mod", SOURCES / "go.sum"]:
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return _cache_dir() / "temporal-dev" / digest.hexdigest()[:16] / "temporal-dev"


def _cache_dir() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "emitonce"


def _version(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def main() -> None:
    """Find, download or build it now, so that later starts take no time."""
    if os.environ.get("TEMPORAL_ADDRESS"):
        return
    try:
        asyncio.run(find_server_binary(lambda line: print(line, file=sys.stderr, flush=True)))
    except NoServerBinary as err:
        sys.exit(f"error: {err}")


if __name__ == "__main__":
    main()
