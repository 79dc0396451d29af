"""Record the histories that are replayed: `python -m tests.replay.record [scenario …]`.

Events run for real, on servers of their own. To be done again whenever what a workflow asks of the
engine changes on purpose; once such a version is in use, histories of before stay, beside new ones.
They are kept by the newest build of the release that recorded them.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path

from temporalio.client import Client

from destinations.registry import this_release
from engine.connect import connect
from engine.search_attributes import register_search_attributes
from process import migrate_database
from starter.dev.postgres import EmbeddedPostgres
from starter.dev.temporal_server import DevServer
from tests.conftest import database_url, on_server
from tests.integration.stack import open_stack
from tests.replay.recorded import Scenario
from tests.replay.scenarios import SCENARIOS

HISTORIES = Path(__file__).parent / "histories" / f"build_{this_release().newest_build}"
ROOT = Path(__file__).resolve().parent.parent.parent
# Instead of process and host, which the SDK would put there.
IDENTITY = "recorder"


async def record(scenarios: tuple[Scenario, ...]) -> None:
    with tempfile.TemporaryDirectory(prefix="emitonce-record-") as directory:
        server = await DevServer.start(Path(directory) / "temporal", in_memory=True, ui=False)
        postgres = await EmbeddedPostgres.start(Path(directory) / "postgres", durable=False)
        try:
            client = await connect(server.address, identity=IDENTITY)
            await register_search_attributes(client)
            for scenario in scenarios:
                dsn = await new_database(postgres.dsn, scenario.__name__)
                await _record(client, dsn, scenario)
        finally:
            await postgres.stop()
            await server.stop()


async def new_database(dsn: str, name: str) -> str:
    """The URL of a migrated, empty database, so that no scenario meets what another left."""
    await on_server(dsn, f"CREATE DATABASE {name}")
    made = database_url(dsn, name)
    await migrate_database(made)
    return made


async def _record(client: Client, dsn: str, scenario: Scenario) -> None:
    async with open_stack(client, dsn) as stack:
        recorded = await scenario(stack)
    for name, workflow_id in recorded.items():
        history = await client.get_workflow_handle(workflow_id).fetch_history()
        text = json.dumps(history.to_json_dict(), indent=1, ensure_ascii=False)
        # Stack traces name files; where they lay when it was recorded tells nobody anything.
        text = text.replace(f"{ROOT}/", "")
        (HISTORIES / f"{name}.json").write_text(text + "\n")
        print(f"{name}: {len(history.events)} events")


if __name__ == "__main__":
    named = set(sys.argv[1:])
    unknown = named - {scenario.__name__ for scenario in SCENARIOS}
    if unknown:
        sys.exit(f"no such scenario: {', '.join(sorted(unknown))}")
    HISTORIES.mkdir(exist_ok=True, parents=True)
    asyncio.run(record(tuple(s for s in SCENARIOS if not named or s.__name__ in named)))
