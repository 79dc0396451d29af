"""A world of real processes: Temporal server, PostgreSQL, workers, the API, and the vendor."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urljoin

import httpx
from temporalio.client import Client

from catalog import Catalog
from catalog.encryption.cipher import CredentialCipher
from destinations import registry
from destinations.customerio.simulator import Fault
from emitonce.ids import Hashes
from emitonce.key_ring import KeyRing
from engine.connect import connect
from engine.namespace import prepare_namespace
from starter.dev.postgres import EmbeddedPostgres
from starter.dev.temporal_server import DevServer, Ports, free_port
from tests.chaos.processes import ROOT, Child, Ended, run_command

EVENT = "user.signup"
TASK_QUEUE = "deliveries"


@dataclass
class World:
    """Started by `open_world`. Everything in it may be killed and started anew."""

    directory: Path
    random: Random
    env: dict[str, str]
    secrets: dict[str, bytes]
    planted: dict[str, str]
    ports: dict[str, int]
    server: DevServer
    postgres: EmbeddedPostgres
    client: Client
    vendor: Child
    workers: list[Child] = field(default_factory=list)
    api: Child | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    def note(self, what: str) -> None:
        """Put a fault on record, so that a run can be read afterwards."""
        self.notes.append(what)

    # Workers and the API.

    async def worker(self, role: str = "worker", *, root: Path = ROOT, **env: str) -> Child:
        """`root`: where its code lies, when it is not this one; `role` names its log."""
        child = await Child.start(
            role,
            *("starter.cli.main", "worker", "--json"),
            env=self.env | env,
            logs=self.logs,
            root=root,
        )
        self.workers.append(child)
        return child

    async def doomed_worker(self, **env: str) -> Child:
        """One with crash points and mutants; see `doomed_worker.py`."""
        child = await Child.start(
            "doomed", "tests.chaos.doomed_worker", env=self.env | env, logs=self.logs
        )
        self.workers.append(child)
        return child

    async def start_api(
        self, module: str = "starter.cli.main", *, root: Path = ROOT, port: int | None = None
    ) -> None:
        """Events are emitted to it from then on."""
        port = port or self.ports["api"]
        self.api = await Child.start(
            "api",
            *(module, "api", "--json", "--port", str(port)),
            env=self.env,
            logs=self.logs,
            root=root,
        )
        self.ports["api"] = port

    @asynccontextmanager
    async def replacing_api(self, *, root: Path) -> AsyncIterator[None]:
        """While the block runs two answer; then the old one ends."""
        old = self.api
        await self.start_api(root=root, port=free_port())
        try:
            yield
        finally:
            if old is not None:
                await old.terminate()

    async def command(self, *arguments: str, root: Path = ROOT) -> Ended:
        """What `emitonce …` comes to here, with the code in `root`."""
        return await run_command(*arguments, env=self.env, root=root)

    async def migrate(self, *, root: Path = ROOT) -> None:
        ended = await self.command("migrate", root=root)
        assert ended.code == 0, ended.err

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['api']}"

    # The servers.

    async def start_server(self) -> None:
        self.server = await _start_server(self.directory, self.ports["temporal"])

    async def start_postgres(self) -> None:
        self.postgres = await EmbeddedPostgres.start(self.directory / "postgres")

    async def kill_postgres(self) -> None:
        """The postmaster, by the id that it has written down; its children end with it."""
        pid = int((self.directory / "postgres/pgdata/postmaster.pid").read_text().split()[0])
        os.kill(pid, 9)
        await self.postgres.stop()

    # The vendors, by their own control pages.

    async def asked(
        self, page: str, method: str = "GET", body: Any = None, *, type: str = "customer_io"
    ) -> Any:
        urls = self.vendor.ready["base_urls"]
        url = next(url for name, url in urls.items() if name.partition(".")[0] == type)
        async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
            answer = await http.request(method, urljoin(url, f"/_sim/{page}"), json=body)
        answer.raise_for_status()
        return answer.json()

    async def misbehave(
        self,
        fault: Fault,
        path: str = "*",
        *,
        nth: list[int] | None = None,
        type: str = "customer_io",
        **rule: Any,
    ) -> None:
        wanted = {"path": path, "fault": fault.model_dump(exclude_defaults=True), "nth": nth}
        await self.asked("faults", "POST", wanted | rule, type=type)

    async def behave(self) -> None:
        await self.asked("faults", "DELETE")

    @asynccontextmanager
    async def catalog(self) -> AsyncIterator[Catalog]:
        cipher = CredentialCipher({"k1": self.secrets["credential"]})
        hashes = Hashes(self.secrets["instance"])
        catalog = await Catalog.open(self.postgres.dsn, cipher, hashes, registry, max_connections=2)
        try:
            yield catalog
        finally:
            await catalog.close()

    async def end_workers(self) -> None:
        for child in self.workers:
            child.thaw()
            await child.kill()
        self.workers.clear()

    async def close(self) -> None:
        await self.end_workers()
        for child in (self.api, self.vendor):
            if child is not None:
                await child.kill()
        await self.server.stop()
        await self.postgres.stop()


@asynccontextmanager
async def open_world(directory: Path, random: Random, *, root: Path = ROOT) -> AsyncIterator[World]:
    """Start servers and the vendor; workers and the API are started by whoever needs them.

    Everything is on that production has: durable files, encryption of payloads. The schema is that
    of the code in `root`.
    """
    (directory / "logs").mkdir(parents=True, exist_ok=True)
    secrets = {name: random.randbytes(32) for name in ("credential", "instance", "payload")}
    planted = {
        "api key": f"planted-key-{random.getrandbits(64):x}",
        "e-mail": f"planted-{random.getrandbits(64):x}.example.com",
        "trait": f"planted-trait-{random.getrandbits(64):x}",
        "token": f"pat-na1-planted-{random.getrandbits(64):x}",
    }
    ports = {"temporal": free_port(), "api": free_port()}
    async with contextlib.AsyncExitStack() as parts:
        server = await _start_server(directory, ports["temporal"])
        parts.push_async_callback(server.stop)
        postgres = await EmbeddedPostgres.start(directory / "postgres")
        parts.push_async_callback(postgres.stop)
        ring = KeyRing({"p1": secrets["payload"]}, encrypts=False)
        client = await connect(server.address, keys=ring)
        await prepare_namespace(client)
        vendor = await Child.start(
            "vendor",
            *("starter.cli.main", "simulator", "--json", "--port", "0"),
            *("--keep-requests", "100000"),
            *("--us-key", planted["api key"], "--eu-key", planted["api key"]),
            env={},
            logs=directory / "logs",
        )
        env = _environment(directory, server, postgres, vendor, secrets)
        world = World(
            directory, random, env, secrets, planted, ports, server, postgres, client, vendor
        )
        parts.pop_all()
    try:
        await world.migrate(root=root)
        yield world
    finally:
        await world.close()


async def _start_server(directory: Path, port: int) -> DevServer:
    return await DevServer.start(directory, ports=Ports(server=port), ui=False)


def _environment(
    directory: Path,
    server: DevServer,
    postgres: EmbeddedPostgres,
    vendor: Child,
    secrets: Mapping[str, bytes],
) -> dict[str, str]:
    written = {name: base64.b64encode(value).decode() for name, value in secrets.items()}
    return {
        "TEMPORAL_ADDRESS": server.address,
        "EMITONCE_DATA_DIR": str(directory / "data"),
        "EMITONCE_DATABASE_URL": postgres.dsn,
        "EMITONCE_CUSTOMERIO_URL_US": vendor.ready["us"],
        "EMITONCE_CUSTOMERIO_URL_EU": vendor.ready["eu"],
        "EMITONCE_CREDENTIAL_KEYS": f"k1:{written['credential']}",
        "EMITONCE_INSTANCE_SECRET": written["instance"],
        "EMITONCE_PAYLOAD_KEYS": f"p1:{written['payload']}",
        "EMITONCE_CONNECT_TIMEOUT_SECONDS": "60",
        "EMITONCE_TASK_QUEUE": TASK_QUEUE,
        "EMITONCE_LOG_LEVEL": "info",
    }


async def until(condition: Callable[[], Awaitable[bool]], *, within: float, what: str) -> None:
    """Raises AssertionError when `condition` does not hold within so many seconds."""
    deadline = time.monotonic() + within
    while not await condition():
        assert time.monotonic() < deadline, f"in {within:.0f} s it did not happen: {what}"
        await asyncio.sleep(0.2)
