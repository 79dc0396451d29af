"""How long a revoked key is accepted: the figures of docs/security.md.

    python -m bench.revoking [--rounds 5]

A static token is used 20 times a second, by turns at two `emitonce api` processes, to read and to
emit. A third process revokes it. Measured is the time from then until the last request is sent that
is accepted, by each of the two: with the feed of changes; where the feed's connection is lost; and
where it falls silent, so that nobody is told. Prints seconds; writes `bench/results/revoking.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg
import httpx

from catalog import Catalog
from catalog.encryption.cipher import CredentialCipher
from destinations import registry
from emitonce.ids import Hashes
from process import migrate_database
from starter.dev.postgres import EmbeddedPostgres
from starter.dev.temporal_server import DevServer
from tests.api.caller import BASE
from tests.api.line import DatabaseLine
from tests.chaos.processes import Child

RESULTS = Path(__file__).parent / "results" / "revoking.json"
PER_SECOND = 20
USED_SECONDS = 2.0  # before it is revoked, so that both know the key
QUIET_SECONDS = 6.0  # without an accepted request, then it is over
LISTENER = b"emitonce listener"
KEY = bytes(range(32))
PROCESSES = 3
MODES = ("feed", "lost", "silent")


async def main(rounds: int) -> None:
    async with AsyncExitStack() as parts:
        folder = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="emitonce-bench-")))
        postgres = await EmbeddedPostgres.start(folder / "postgres", durable=False)
        parts.push_async_callback(postgres.stop)
        await migrate_database(postgres.dsn)
        server = await DevServer.start(folder, in_memory=True, ui=False)
        parts.push_async_callback(server.stop)
        catalog = await Catalog.open(
            postgres.dsn, CredentialCipher({"c1": KEY}), Hashes(KEY), registry
        )
        parts.push_async_callback(catalog.close)
        line = await parts.enter_async_context(DatabaseLine(postgres.dsn))
        apis = [
            await parts.enter_async_context(_api(name, line.url, server.address, folder))
            for name in ("one", "other")
        ]
        found = {mode: [] for mode in MODES}
        for number in range(rounds):
            for mode in MODES:
                found[mode].append(await _round(catalog, postgres.dsn, line, apis, mode))
                print(f"{number + 1} {mode:<7} {found[mode][-1]}", flush=True)
    figures = {
        mode: {"rounds": each, "longest": max(max(seconds) for seconds in each)}
        for mode, each in found.items()
    }
    RESULTS.write_text(json.dumps(figures, indent=2) + "\n")


@asynccontextmanager
async def _api(name: str, database: str, temporal: str, logs: Path) -> AsyncIterator[str]:
    secret = base64.b64encode(KEY).decode()
    child = await Child.start(
        name,
        "starter.cli.main",
        *("api", "--json"),
        env={
            "EMITONCE_HTTP_PORT": "0",
            "EMITONCE_DATABASE_URL": database,
            "EMITONCE_CREDENTIAL_KEYS": f"c1:{secret}",
            "EMITONCE_PAYLOAD_KEYS": f"p1:{base64.b64encode(KEY[::-1]).decode()}",
            "EMITONCE_INSTANCE_SECRET": secret,
            "TEMPORAL_ADDRESS": temporal,
            "EMITONCE_DATA_DIR": str(logs / name),
        },
        logs=logs,
    )
    try:
        yield child.ready["http"]
    finally:
        await child.terminate()


async def _round(
    catalog: Catalog, dsn: str, line: DatabaseLine, apis: list[str], mode: str
) -> list[float]:
    organization = (await catalog.organizations.default()).id
    workspace = (
        await catalog.workspaces.create(organization, name=f"Round {time.monotonic_ns()}")
    ).id
    made = await catalog.machine_keys.create(
        organization, name="revoked", created_by="bench", as_token=True
    )
    headers = {"Authorization": f"Bearer {made.secret_key.get_secret_value()}"}
    accepted = dict.fromkeys(apis, 0.0)
    async with AsyncExitStack() as parts:
        clients = [
            await parts.enter_async_context(
                httpx.AsyncClient(base_url=f"{api}{BASE}", headers=headers, timeout=30)
            )
            for api in apis
        ]

        async def use(number: int) -> None:
            which = number % len(apis)
            sent = time.monotonic()
            if number // len(apis) % 2:
                answer = await clients[which].get("/workspaces")
            else:
                event = {"event": "page.viewed", "payload": {"userId": "u"}, "workspace": workspace}
                answer = await clients[which].post("/events", json=event)
            assert answer.status_code in (200, 201, 401, 429), answer.text
            if answer.is_success:
                accepted[apis[which]] = max(accepted[apis[which]], sent)

        started, number, revoked_at = time.monotonic(), 0, None
        tasks = []
        while revoked_at is None or time.monotonic() < (
            max(revoked_at, *accepted.values()) + QUIET_SECONDS
        ):
            tasks.append(asyncio.create_task(use(number)))
            number += 1
            await asyncio.sleep(max(started + number / PER_SECOND - time.monotonic(), 0))
            if revoked_at is None and time.monotonic() > started + USED_SECONDS:
                if mode == "silent":
                    line.fall_silent(LISTENER)
                if mode == "lost":
                    await _lose(dsn)
                await catalog.machine_keys.revoke(organization, made.key.id)
                revoked_at = time.monotonic()
        await asyncio.gather(*tasks)
    if mode == "silent":
        line.speak()
    await _heard(dsn)
    return [round(max(at - revoked_at, 0.0), 3) for at in accepted.values()]


async def _lose(dsn: str) -> None:
    conn = await asyncpg.connect(dsn)
    await conn.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1",
        LISTENER.decode(),
    )
    await conn.close()


async def _heard(dsn: str) -> None:
    """Wait until all three listen again."""
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND state = 'idle'"
    conn = await asyncpg.connect(dsn)
    for _ in range(300):
        if await conn.fetchval(count, LISTENER.decode()) >= PROCESSES:
            break
        await asyncio.sleep(0.2)
    await conn.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    asyncio.run(main(parser.parse_args().rounds))
