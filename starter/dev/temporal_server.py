"""Run a Temporal server for development and tests, as a child process with its Web UI."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from temporalio.api.workflowservice.v1 import UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from delivery.search_attributes import ALL
from engine.connect import TemporalUnreachable, connect
from engine.namespace import RETENTION, namespace_retention
from starter.dev.files import last_lines
from starter.dev.server_binary import Say, find_server_binary

HOST = "127.0.0.1"
START_SECONDS = 60
STOP_SECONDS = 20
PORT_CHOICES = 3

# With one node and one database, partitions would only forward tasks to each other; eager tasks
# save a third of the time. `tools/temporal-dev` has these defaults, the official tool doesn't.
# Fairness is off in both: it keeps a burst of one event from holding up others. A shard looks for
# new tasks twenty times a second by default, and there is one shard: from about five events a
# second on, each step of a delivery would wait for the next look.
TUNED = (
    *("--dynamic-config-value", "matching.numTaskqueueReadPartitions=1"),
    *("--dynamic-config-value", "matching.numTaskqueueWritePartitions=1"),
    *("--dynamic-config-value", "system.enableActivityEagerExecution=true"),
    *("--dynamic-config-value", "matching.enableFairness=true"),
    *("--dynamic-config-value", "history.transferProcessorMaxPollRPS=100"),
    *("--dynamic-config-value", "frontend.namespaceRPS=20000"),
    *("--dynamic-config-value", "frontend.rps=20000"),
)
# Registered before the server starts, so that it needn't ask the database for new attributes at
# each start and upsert of an event.
_SEARCH_ATTRIBUTES = (
    *(
        word
        for key in ALL
        for word in (
            "--search-attribute",
            f"{key.name}={key.indexed_value_type.name.title().replace('_', '')}",
        )
    ),
    *("--dynamic-config-value", "system.forceSearchAttributesCacheRefreshOnRead=false"),
)
_PRAGMAS = (
    *("--sqlite-pragma", "journal_mode=WAL"),
    *("--sqlite-pragma", "synchronous=NORMAL"),
    *("--sqlite-pragma", "cache_size=-65536"),  # 64 MiB: indexes outgrow the default of 2
)


class DevServerError(RuntimeError):
    """The server didn't start. The message says why and what to do."""


class PortTaken(DevServerError):
    """A port that was free when it was chosen was taken before the server listened on it."""


@dataclass(frozen=True)
class Ports:
    """The ports to listen on; 0 is any free one."""

    server: int = 0
    ui: int = 0
    metrics: int = 0


class DevServer:
    """A running server, made by `start`. `ui_url` is None without the Web UI."""

    def __init__(
        self, process: subprocess.Popen[bytes], address: str, ui_url: str | None, log: Path
    ) -> None:
        self.address = address
        self.ui_url = ui_url
        self.pid = process.pid
        self.log = log
        self._process = process

    @classmethod
    async def start(
        cls,
        data_dir: Path,
        *,
        ports: Ports | None = None,
        in_memory: bool = False,
        ui: bool = True,
        codec_endpoint: str | None = None,
        dynamic_config: Mapping[str, str] = MappingProxyType({}),
        say: Say = lambda _: None,
    ) -> DevServer:
        """Start a server whose state is `data_dir/temporal.db`, and wait until it answers.

        A server left behind on the same directory by a process that was killed is ended first.

        Raises:
            NoServerBinary: there is no server to start.
            DevServerError: a port is taken, or the server ended at once.
        """
        binary, ports = await find_server_binary(say), ports or Ports()
        options = (in_memory, ui, codec_endpoint, dynamic_config)
        for _ in range(PORT_CHOICES - 1):
            with contextlib.suppress(PortTaken):
                return await cls._start(binary, data_dir, ports, *options)
        return await cls._start(binary, data_dir, ports, *options)

    @classmethod
    async def _start(
        cls,
        binary: Path,
        data_dir: Path,
        ports: Ports,
        in_memory: bool,
        ui: bool,
        codec_endpoint: str | None,
        dynamic_config: Mapping[str, str],
    ) -> DevServer:
        server_port = _checked(ports.server, "Temporal server")
        ui_port = _checked(ports.ui, "Web UI") if ui else 0
        command = [
            *(str(binary), "server", "start-dev"),
            *("--ip", HOST, "--port", str(server_port), "--log-level", "error"),
            *(("--ui-port", str(ui_port)) if ui else ("--headless",)),
            *TUNED,
            *_SEARCH_ATTRIBUTES,
        ]
        if not in_memory:
            command += ["--db-filename", str(_absolute(data_dir) / "temporal.db"), *_PRAGMAS]
        if codec_endpoint:
            command += ["--ui-codec-endpoint", codec_endpoint]
        for key, value in dynamic_config.items():
            command += ["--dynamic-config-value", f"{key}={value}"]
        if ports.metrics:
            command += ["--metrics-port", str(ports.metrics)]
        log = data_dir / "temporal.log"
        process = await asyncio.to_thread(_spawn, command, data_dir, log)
        address = f"{HOST}:{server_port}"
        server = cls(process, address, f"http://{HOST}:{ui_port}" if ui else None, log)
        try:
            await server._wait_until_ready(ui_port)
        except BaseException:
            await server.stop()
            raise
        return server

    async def stop(self) -> None:
        """Stop the server and wait. If it doesn't end within 20 s, kill it."""
        await asyncio.to_thread(self._stop)

    def kill(self) -> None:
        """Kill the server, as a power failure would."""
        self._process.kill()
        self._process.wait()

    def _check(self) -> None:
        if self._process.poll() is not None:
            lines = last_lines(self.log)
            error = PortTaken if "address already in use" in lines else DevServerError
            raise error(f"the Temporal server exited at its start:\n{lines}")

    def _stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    async def _wait_until_ready(self, ui_port: int) -> None:
        """The Web UI listens a moment after the server, which exits if it can't."""
        connecting = asyncio.create_task(connect(self.address, timeout_seconds=START_SECONDS))
        try:
            while not connecting.done():
                self._check()
                await asyncio.wait([connecting], timeout=0.05)
            await _ensure_retention(await connecting)
            while ui_port and not await _listens(ui_port):
                self._check()
                await asyncio.sleep(0.05)
        except (TemporalUnreachable, RPCError) as err:
            self._check()
            raise DevServerError(
                f"the Temporal server doesn't answer:\n{last_lines(self.log)}"
            ) from err
        finally:
            connecting.cancel()
            with contextlib.suppress(asyncio.CancelledError, TemporalUnreachable):
                await connecting


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True


async def _ensure_retention(client: Client) -> None:
    if await namespace_retention(client) < RETENTION:
        request = UpdateNamespaceRequest(namespace=client.namespace)
        request.config.workflow_execution_retention_ttl.FromTimedelta(RETENTION)
        await client.workflow_service.update_namespace(request)


def server_flags() -> tuple[str, ...]:
    """Return the flags of a server that keeps its state in a file."""
    return (*TUNED, *_SEARCH_ATTRIBUTES, *_PRAGMAS)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _checked(port: int, what: str) -> int:
    if port == 0:
        return free_port()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise DevServerError(
                f"port {port} of the {what} is in use: stop the program that listens there, "
                "or choose another port (see --help)"
            ) from None
    return port


def _absolute(path: Path) -> Path:
    return path.expanduser().resolve()


def _spawn(command: list[str], data_dir: Path, log: Path) -> subprocess.Popen[bytes]:
    data_dir.mkdir(parents=True, exist_ok=True)
    lock = _lock(data_dir / "temporal.pid")
    try:
        with log.open("ab") as output:
            process = subprocess.Popen(  # noqa: S603  a program we have chosen, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(lock,),  # held for as long as the server lives
                start_new_session=True,  # Ctrl-C is for us: we stop the server when we are done
            )
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{process.pid}\n".encode(), 0)
    finally:
        os.close(lock)
    return process


def _lock(path: Path) -> int:
    """Take the lock that a running server holds on its directory; return the descriptor."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return lock
    except BlockingIOError:
        # The process that started it was killed: a running stack holds another lock, taken before.
        with contextlib.suppress(ValueError, ProcessLookupError):
            os.kill(int(os.pread(lock, 32, 0)), signal.SIGTERM)
        fcntl.flock(lock, fcntl.LOCK_EX)
        return lock
