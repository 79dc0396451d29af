"""What accepting an event over HTTP costs, against an earlier commit: see docs/benchmarks.md.

    python -m bench.accepting 780a9dc [--pairs 9] [--events 1000] [--machine]

An API process of either commit, in production mode, on one database and one Temporal server. They
get the same bursts in turn, there and back, on connections that stay open. A pair's ratio is that
of the CPU time that the two processes took, by the kernel's account. Writes
`bench/results/accepting.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import secrets
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.alternating import Side, alternate, keep
from catalog import Catalog
from catalog.encryption.cipher import CredentialCipher
from destinations import registry
from emitonce.ids import Hashes
from engine.connect import connect
from engine.search_attributes import register_search_attributes
from process import migrate_database
from starter.cli.logs import configure_logs
from starter.dev.postgres import EmbeddedPostgres
from starter.dev.temporal_server import DevServer
from tests.api.caller import BASE, Machine
from tests.chaos.older_code import check_out
from tests.chaos.processes import ROOT, Child
from tests.integration.stack import SAMPLE

RESULTS = Path(__file__).parent / "results" / "accepting.json"
CONNECTIONS = 4
# Above the quotas of a minute, so that they are counted but refuse nothing.
MANY = {
    f"EMITONCE_QUOTA_{of}_{what}": str(10**9)
    for of in ("KEY", "WORKSPACE")
    for what in ("EVENTS", "BYTES")
}


@dataclass(frozen=True)
class Caller:
    """What is emitted, and the header with a credential; a machine's is good for half a minute."""

    event: dict[str, Any]
    header: Callable[[], str]


async def accept(side: Side, events: int, caller: Caller) -> None:
    """Emit so many, on connections side by side."""
    host, _, port = side.child.ready["http"].removeprefix("http://").partition(":")
    body = json.dumps(caller.event).encode()
    head = (
        f"POST {BASE}/events HTTP/1.1\r\nHost: events.example.com\r\n{caller.header()}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(_emit(host, int(port), head.encode() + body, events // CONNECTIONS))


async def _emit(host: str, port: int, request: bytes, times: int) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        for _ in range(times):
            writer.write(request)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 201 "), answer
            [length] = (
                line
                for line in answer.lower().split(b"\r\n")
                if line.startswith(b"content-length:")
            )
            await reader.readexactly(int(length.partition(b":")[2]))
    finally:
        writer.close()


async def main(earlier: str, pairs: int, events: int, as_machine: bool) -> None:
    configure_logs()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="emitonce-bench-")))
        postgres = await EmbeddedPostgres.start(folder / "postgres", durable=False)
        stack.push_async_callback(postgres.stop)
        server = await DevServer.start(folder, in_memory=True, ui=False)
        stack.push_async_callback(server.stop)
        await register_search_attributes(await connect(server.address))
        await migrate_database(postgres.dsn)
        keys = [secrets.token_bytes(32) for _ in range(3)]
        env = _env(server.address, postgres.dsn, keys)
        sides = []
        for name, root in (("earlier", check_out(earlier, folder / "earlier")), ("this", ROOT)):
            child = await Child.start(
                name, "starter.cli.main", "api", "--json", env=env, logs=folder, root=root
            )
            stack.push_async_callback(child.terminate)
            sides.append(Side(name, child))
        caller = await _caller(postgres.dsn, keys, as_machine)
        events -= events % CONNECTIONS
        work = partial(accept, caller=caller)
        figures = await alternate(sides[0], sides[1], pairs, events, work)
    keep(RESULTS, "machine" if as_machine else "publishable", earlier, figures)


def _env(address: str, dsn: str, keys: list[bytes]) -> dict[str, str]:
    of_credentials, of_payloads, secret = (base64.b64encode(key).decode() for key in keys)
    return {
        "EMITONCE_ENV": "production",
        "EMITONCE_HTTP_PORT": "0",
        **MANY,
        "EMITONCE_DATABASE_URL": dsn,
        "EMITONCE_CREDENTIAL_KEYS": f"c1:{of_credentials}",
        "EMITONCE_PAYLOAD_KEYS": f"p1:{of_payloads}",
        "EMITONCE_INSTANCE_SECRET": secret,
        "EMITONCE_TASK_QUEUE": "nobody-works-here",
        "TEMPORAL_ADDRESS": address,
    }


async def _caller(dsn: str, keys: list[bytes], as_machine: bool) -> Caller:
    catalog = await Catalog.open(dsn, CredentialCipher({"c1": keys[0]}), Hashes(keys[2]), registry)
    try:
        organization = (await catalog.organizations.default()).id
        workspace = (await catalog.workspaces.create(organization, name="Acme app")).id
        key = await catalog.publishable_keys.current(organization, workspace)
        made = await catalog.machine_keys.create(organization, name="bench", created_by="bench")
    finally:
        await catalog.close()
    event = {"event": "user.signup", "payload": SAMPLE}
    if not as_machine:
        assert key is not None
        return Caller(event, lambda: f"X-Meshes-Publishable-Key: {key.public_key}")
    backend = Machine(organization, made.key.access_key, made.secret_key.get_secret_value())
    event["workspace"] = workspace
    return Caller(event, lambda: f"Authorization: Bearer {backend.token()}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("earlier")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--events", type=int, default=1_000)
    parser.add_argument("--machine", action="store_true")
    given = parser.parse_args()
    asyncio.run(main(given.earlier, given.pairs, given.events, given.machine))
