"""emitonce as it is run: rules, mapping, attempts, search attributes, encryption."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench.emitter import Accept
from bench.lane import Lane
from bench.processes import Process, python
from bench.temporal_server import describe_runs, start_server
from emitonce import Emitter
from engine.connect import connect
from engine.search_attributes import register_search_attributes
from key_provider import load_secrets
from process import migrate_database, open_catalog
from settings import Settings

EVENT = "user.signup"


def start(
    directory: Path,
    vendor: str,
    *,
    rules: int = 10,
    workers: int = 1,
    emitters: int = 1,
    vendor_eu: str | None = None,
) -> Lane:
    """`rules` is how many the catalog holds; one of them matches the workload's events.

    Connections of the region `eu` have the same vendor, unless another is named.
    """
    server, address = start_server(directory, tuned=True)
    database = _start_database(directory / "postgres")
    env = _environment(directory, address, vendor, vendor_eu or vendor, database.ready["dsn"])
    workspace = asyncio.run(_fill(env, address, rules))

    def start_worker() -> Process:
        command = python("starter.cli.main", "worker", "--json")
        return Process.start("worker", command, env=env, log=directory / "worker.log")

    return Lane(
        name="ours",
        target={"workspace": workspace, "env": env},
        stored=(directory / "temporal.db", directory / "temporal.db-wal"),
        start_worker=start_worker,
        engine=[server, database],
        workers=[start_worker() for _ in range(workers)],
        describe=lambda: describe_runs(address, "DeliverEvent"),
        emitters=emitters,
        settings={"server": "tuned", "rules": str(rules), "workers": str(workers)},
    )


def _start_database(directory: Path) -> Process:
    return Process.start("database", python("bench.database", str(directory)))


def _environment(
    directory: Path, address: str, vendor: str, vendor_eu: str, dsn: str
) -> dict[str, str]:
    """Every secret is made anew; everything is on, as in production."""

    def secret() -> str:
        return base64.b64encode(os.urandom(32)).decode()

    return {
        "EMITONCE_DATA_DIR": str(directory),
        "EMITONCE_DATABASE_URL": dsn,
        "EMITONCE_CREDENTIAL_KEYS": f"k1:{secret()}",
        "EMITONCE_INSTANCE_SECRET": secret(),
        "EMITONCE_PAYLOAD_KEYS": f"p1:{secret()}",
        "EMITONCE_CUSTOMERIO_URL_US": vendor,
        "EMITONCE_CUSTOMERIO_URL_EU": vendor_eu,
        "EMITONCE_LOG_LEVEL": "warning",
        "TEMPORAL_ADDRESS": address,
    }


async def _fill(env: dict[str, str], address: str, rules: int) -> str:
    os.environ.update(env)
    settings = Settings()
    await migrate_database(env["EMITONCE_DATABASE_URL"])
    await register_search_attributes(await connect(address))
    async with open_catalog(settings, load_secrets(settings)) as catalog:
        organization = (await catalog.organizations.default()).id
        workspace = await catalog.workspaces.create(organization, name="Bench")
        connection = await catalog.connections.create(
            organization,
            workspace=workspace.id,
            name="Bench",
            type="customer_io",
            fields={"region": "us", "cdpApiKey": "bench-key"},
            created_by="bench",
        )
        await catalog.rules.create(
            organization,
            workspace=workspace.id,
            connection=connection.id,
            event=EVENT,
            metadata={"action": "track_event", "event_name_override": "Signed Up"},
            created_by="bench",
        )
        async with catalog.pool.acquire() as database:
            await database.execute(
                """
                INSERT INTO rules (workspace_id, connection_id, event, metadata, created_by)
                SELECT $1, $2, 'other.' || n, '{"action": "track_event"}', 'bench'
                FROM generate_series(1, $3) AS n
                """,
                workspace.id,
                connection.id,
                rules - 1,
            )
            await database.execute("ANALYZE rules")
    return workspace.id


@asynccontextmanager
async def accepting(target: dict[str, Any]) -> AsyncIterator[Accept]:
    os.environ.update(target["env"])
    emitter = await Emitter.connect()

    async def accept(number: int, payload: dict[str, Any]) -> None:
        await emitter.emit(EVENT, payload, workspace=target["workspace"])

    yield accept
