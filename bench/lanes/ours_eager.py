"""emitonce with emitter and worker in one process, so that an event starts there and then."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench.emitter import Accept
from bench.lane import Lane
from bench.lanes import ours
from emitonce import Emitter
from engine.connect import connect
from key_provider import load_secrets
from process import open_catalog, open_clients
from settings import Settings
from starter.cli.logs import configure_logs
from worker import open_worker


def start(directory: Path, vendor: str) -> Lane:
    lane = ours.start(directory, vendor, workers=0)
    lane.name = "ours_eager"
    lane.settings["worker"] = "in the emitter's process, eager start"
    return lane


@asynccontextmanager
async def accepting(target: dict[str, Any]) -> AsyncIterator[Accept]:
    os.environ.update(target["env"])
    configure_logs()  # on stderr: stdout is for samples
    settings = Settings()
    secrets = load_secrets(settings)
    async with (
        open_catalog(settings, secrets) as catalog,
        open_clients(settings) as clients,
    ):
        client = await connect(keys=secrets.payload_ring())
        async with open_worker(client, catalog, clients, settings):
            emitter = Emitter(client, instance_secret=secrets.instance_secret, eager_start=True)

            async def accept(number: int, payload: dict[str, Any]) -> None:
                await emitter.emit(ours.EVENT, payload, workspace=target["workspace"])

            yield accept
            await asyncio.Event().wait()  # deliver until the process is ended
