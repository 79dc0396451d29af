"""An id finds what it names, however it is written; what is listed can be read."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from pathlib import Path

import pytest

from destinations.customerio.simulator import Fault
from tests.api.caller import Api, open_api
from tests.integration.stack import SAMPLE, Stack, eventually
from tests.operations.processes import command


async def started_as(stack: Stack, id: str) -> None:
    """As a backend with an SDK of its own starts an event."""
    await stack.client.start_workflow(
        "DeliverEvent",
        {"workspace": stack.workspace, "event": "user.signup", "payload": SAMPLE},
        id=id,
        task_queue=stack.task_queue,
    )


async def listed_ids(api: Api) -> list[str]:
    answer = await api.get(f"/workspaces/{api.stack.workspace}/events")
    return [record["id"] for record in answer.json()["records"]]


async def test_an_event_with_an_upper_case_id_is_listed_read_and_canceled(stack: Stack) -> None:
    rule = await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=503))
    id = str(uuid.uuid4()).upper()
    await started_as(stack, id)
    async with open_api(stack) as api:

        async def there() -> bool:
            return await listed_ids(api) == [id]

        await eventually(there)
        assert (await api.event(id))["id"] == id
        attempts = await api.get(f"/events/{id}/rules/{rule.id.upper()}/attempts")
        assert attempts.status_code == 200
        canceled = await api.post(f"/events/{id}/cancel")
        assert (canceled.status_code, canceled.json()["status"]) == (200, "canceled")


async def test_the_command_line_steers_an_event_by_an_id_of_either_case(stack: Stack) -> None:
    rule = await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=400), times=1)
    handle = await stack.emit()
    assert (await stack.ended(handle)).status == "failed"
    ids = (handle.id.upper(), "--rule", rule.id.upper())
    retried = await command(stack, "events", "retry", *ids)
    assert retried.code == 0, retried.err
    assert (await stack.ended(handle)).status == "completed"
    shown = await command(stack, "events", "show", handle.id.upper(), "--json")
    assert json.loads(shown.out)["id"] == handle.id


async def test_lists_are_narrowed_by_ids_of_either_case(stack: Stack) -> None:
    rule = await stack.rule()
    handle = await stack.emit()
    await stack.ended(handle)
    await stack.listed(1)
    found = await command(
        stack,
        *("events", "list", "--json", "--workspace", stack.workspace.upper()),
        *("--connection", rule.connection.upper(), "--rule", rule.id.upper()),
    )
    assert [record["id"] for record in json.loads(found.out)["records"]] == [handle.id]


async def test_an_export_of_a_workspace_has_its_events_however_it_is_named(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventlog.export.LISTED_WITHIN", timedelta(0))
    handle = await stack.emit()
    await stack.ended(handle)
    await stack.listed(1)
    file = tmp_path / "log.jsonl"

    async def exported() -> bool:
        named = stack.workspace.upper()
        ran = await command(
            stack, *("export", "--since", "1h", "--workspace", named, "--output", str(file))
        )
        assert ran.code == 0, ran.err
        return [json.loads(line)["event_id"] for line in file.read_text().splitlines()] == [
            handle.id
        ]

    await eventually(exported)
