"""What `emitonce dev` has stored is there after a restart, and new settings apply."""

from __future__ import annotations

import httpx
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
    async with running_dev(tmp_path, EMITONCE_QUOTA_WORKSPACE_EVENTS="1") as ready:
        shown = await cli.json("events", "show", event)
        assert shown["status"] == "completed"
        assert (await cli.json("connections", "verify", connection))["verdict"] == "ok"
        token = (await cli.json(*["keys", "create", "token", "--name", "CI", "--scope", "emit"]))[
            "token"
        ]
        async with httpx.AsyncClient(base_url=f"{ready['http']}/api/v1") as http:
            http.headers = {"Authorization": f"Bearer {token}"}
            body = {"workspace": workspace, "event": "user.signup", "payload": {}}
            answers = [await http.post("/events", json=body) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 429]
