"""`/api/v1/redeliveries`: plan, start, watch, cancel, only for the organization that asks."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest_asyncio

from destinations.customerio.simulator import Fault
from tests.api.caller import Api, assert_error, open_api
from tests.integration.stack import Stack, eventually
from tests.operations.many import calls_by_person, failed_events, visible


@pytest_asyncio.fixture
async def api(stack: Stack) -> AsyncIterator[Api]:
    async with open_api(stack) as api:
        yield api


def last_hour(stack: Stack, **fields: Any) -> dict[str, Any]:
    start = datetime.now(UTC) - timedelta(hours=1)
    return {"workspace": stack.workspace, "accepted_from": start.isoformat(), **fields}


async def ended(api: Api, id: str) -> dict[str, Any]:
    status: dict[str, Any] = {}

    async def over() -> bool:
        answer = await api.get(f"/redeliveries/{id}")
        assert answer.status_code == 200, answer.text
        status.update(answer.json())
        return bool(status["state"] != "running")

    await eventually(over)
    return status


async def test_ids_of_either_case_select_and_find_the_same_redelivery(api: Api) -> None:
    await failed_events(api.stack, 1)
    rules = await api.stack.catalog.rules.list(api.stack.organization)
    body = last_hour(api.stack, rule=rules.records[0].id, dry_run=True)
    plan = (await api.post("/redeliveries", body)).json()
    selection = plan["selection"] | {"rule": plan["selection"]["rule"].upper()}
    selection["workspace"] = selection["workspace"].upper()
    started = [
        (await api.post("/redeliveries", chosen)).json()["id"]
        for chosen in (plan["selection"], selection)
    ]
    assert started == [plan["id"]] * 2
    assert (await ended(api, plan["id"].upper()))["id"] == plan["id"]


async def test_what_was_planned_is_started_by_sending_it_back(api: Api) -> None:
    await failed_events(api.stack, 3)
    planned = await api.post("/redeliveries", last_hour(api.stack, dry_run=True))
    assert planned.status_code == 200, planned.text
    plan = planned.json()
    assert (plan["matched"], plan["exact"], len(plan["sample"])) == (3, True, 3)
    assert set(calls_by_person(api.stack).values()) == {1}

    for _ in range(2):  # twice does no harm
        started = await api.post("/redeliveries", plan["selection"])
        assert started.status_code == 202, started.text
        assert started.json()["id"] == plan["id"]
    status = await ended(api, plan["id"])
    assert status["state"] == "completed"
    assert status["progress"]["redelivered"] == 3
    await visible(api.stack, "ExecutionStatus = 'Completed'", 3)
    assert set(calls_by_person(api.stack, "track").values()) == {1}


async def test_it_tells_what_became_of_each_event_and_lists_those_that_failed_again(
    api: Api,
) -> None:
    await failed_events(api.stack, 2)
    api.stack.sim.fail("identify", fault=Fault(status=400), times=1)
    id = (await api.post("/redeliveries", last_hour(api.stack))).json()["id"]
    await ended(api, id)
    status: dict[str, Any] = {}

    async def told() -> bool:
        status.update((await api.get(f"/redeliveries/{id}")).json())
        result = status["result"]
        return (result["delivered"], result["failed_again"], result["unknown"]) == (1, 1, 0)

    await eventually(told)
    again = [one["event_id"] for one in status["progress"]["latest"] if one["status"] == "failed"]
    listed = (await api.get(f"/events?redelivery={id}&status=failed")).json()
    assert [one["id"] for one in listed["records"]] == again
    assert (await api.get(f"/events?redelivery={uuid.uuid4()}")).json()["count"] == 0
    assert_error(await api.get("/events?redelivery=this"), 400, "redelivery")


async def test_a_canceled_one_begins_no_more(api: Api) -> None:
    await failed_events(api.stack, 10)
    started = (await api.post("/redeliveries", last_hour(api.stack, per_second=0.5))).json()
    canceled = await api.post(f"/redeliveries/{started['id']}/cancel")
    assert canceled.status_code == 200
    status = await ended(api, started["id"])
    assert status["state"] == "canceled"
    assert status["progress"]["redelivered"] < 10
    again = await api.post(f"/redeliveries/{started['id']}/cancel")
    assert again.json()["state"] == "canceled"


async def test_delivered_events_need_a_word_that_campaigns_may_start(api: Api) -> None:
    await api.stack.rule()
    await api.ended((await api.emitted())["id"])
    await visible(api.stack, "ExecutionStatus = 'Completed'", 1)
    for mode in ("again", "identify_only"):
        refused = await api.post("/redeliveries", last_hour(api.stack, mode=mode))
        assert_error(refused, 400, "campaigns_may_start")
    assert len(api.stack.calls()) == 2


async def test_bad_requests_get_a_clear_answer(api: Api) -> None:
    stack = api.stack
    other = (await stack.catalog.workspaces.create(stack.organization, name="Other app")).id
    elsewhere = await stack.catalog.connections.create(
        stack.organization,
        workspace=other,
        name="Elsewhere",
        type="customer_io",
        fields={"region": "us", "cdpApiKey": "a-key"},
        created_by="test",
    )
    future = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    ago = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    for body, status, param in (
        (last_hour(stack, accepted_to=ago), 400, "accepted_to"),
        ({"workspace": stack.workspace, "accepted_from": future}, 400, "accepted_from"),
        ({"workspace": stack.workspace}, 400, "accepted_from"),
        (last_hour(stack, mode="all"), 400, "mode"),
        (last_hour(stack, per_second=0), 400, "per_second"),
        (last_hour(stack, connexion="x"), 400, "connexion"),
        (last_hour(stack, connection=str(uuid.uuid4())), 404, "connection_id"),
        (last_hour(stack, connection=elsewhere.id), 404, "connection_id"),
        (last_hour(stack) | {"workspace": str(uuid.uuid4())}, 404, "workspace_id"),
    ):
        assert_error(await api.post("/redeliveries", body), status, param)
    nothing = await api.post("/redeliveries", last_hour(stack))
    assert nothing.status_code == 409
    for path in (f"/redeliveries/{uuid.uuid4()}", "/redeliveries/nothing"):
        assert_error(await api.get(path), 404, "redelivery_id")


async def test_another_organization_s_redelivery_is_not_there(api: Api) -> None:
    await failed_events(api.stack, 1)
    id = (await api.post("/redeliveries", last_hour(api.stack))).json()["id"]
    machine = await api.stranger()
    assert_error(
        await api.call("GET", f"/redeliveries/{id}", machine=machine), 404, "redelivery_id"
    )
    assert_error(
        await api.call("POST", f"/redeliveries/{id}/cancel", machine=machine), 404, "redelivery_id"
    )
