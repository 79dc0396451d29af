"""What `emitonce dev` has stored is there after a restart, Temporal's history included."""

from __future__ import annotations

import pytest

from tests.cli.command import InProcess, running_dev
from tests.cli.conftest import Dev


@pytest.mark.slow
async def test_events_and_catalog_survive_a_restart(tmp_path) -> None:
    cli = InProcess(tmp_path)
    async with running_dev(tmp_path) as ready:
        first = Dev(cli, ready)
        workspace = await first.workspace("Kept")
        connection = await first.connection(workspace)
        await first.rule(workspace, connection)
        emit = ("emit", "--workspace", workspace, "--event", "user.signup", "--wait")
        event = (await cli.json(*emit, "--payload", '{"userId": "usr_1"}'))["id"]
    async with running_dev(tmp_path):
        shown = await cli.json("events", "show", event)
        assert shown["status"] == "completed"
        assert (await cli.json("connections", "verify", connection))["verdict"] == "ok"
