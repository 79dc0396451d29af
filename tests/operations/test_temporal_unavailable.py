"""While Temporal is unavailable nothing is accepted in vain, and the console still manages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
import structlog
from temporalio.client import Client
from temporalio.service import RPCError

from catalog.errors import NotFound
from engine.connect import connect
from engine.failing_fast import NotConnected, failing_fast
from tests.api.caller import Api, assert_error, open_api
from tests.api.line import Line
from tests.console.site import Site, open_site, sign_in, token_in
from tests.integration.stack import SAMPLE, Stack, eventually, open_stack

EVENT = {"event": "user.signup", "payload": SAMPLE}


@pytest_asyncio.fixture
async def line(temporal: Client) -> AsyncIterator[Line]:
    async with Line(temporal) as line:
        yield line


@pytest_asyncio.fixture
async def stack(temporal: Client, database: str, line: Line) -> AsyncIterator[Stack]:
    """Whose API and console reach Temporal through the line."""
    async with open_stack(temporal, database, working=False) as stack:
        yield replace(stack, client=await connect(line.address))


@pytest_asyncio.fixture
async def api(stack: Stack) -> AsyncIterator[Api]:
    async with open_api(stack) as api:
        yield api


async def test_an_event_is_refused_as_not_stored_when_nobody_answers(api: Api, line: Line) -> None:
    await api.emitted()
    await line.cut()

    async def away() -> bool:
        ready = await api.http.get("/readyz")
        return (ready.status_code, ready.json()["temporal"]) == (503, "away")

    await eventually(away)
    for path, body in (("/events", EVENT), ("/events/bulk", [EVENT, EVENT])):
        answer = await api.emit(body, path=path)
        assert_error(answer, 503)
        assert "not stored" in answer.json()["error"]["message"]
        assert int(answer.headers["retry-after"]) >= 1
    assert_error(await api.get("/events"), 503)
    await line.mend()
    await api.emitted()


async def test_a_wrong_set_up_is_logged_and_no_answer_says_to_try_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = structlog.testing.LogCapture()
    logger = structlog.wrap_logger(None, processors=[capture], wrapper_class=structlog.BoundLogger)
    monkeypatch.setattr("starter.api.accepting.log", logger)
    elsewhere = await connect(stack.client.service_client.config.target_host, namespace="nobodys")
    async with open_api(replace(stack, client=elsewhere)) as api:
        answer = await api.emit()
    assert_error(answer, 503)
    assert "until the server is fixed" in answer.json()["error"]["message"]
    assert "again" not in answer.json()["error"]["message"]
    assert "retry-after" not in answer.headers
    [told] = capture.entries
    assert told["log_level"] == "error"
    assert "nobodys" in told["reason"]
    assert "TEMPORAL_NAMESPACE" in told["reason"]


@pytest.mark.slow
async def test_an_event_whose_answer_does_not_come_is_not_called_refused(
    api: Api, line: Line
) -> None:
    await api.emitted()
    line.fall_silent()
    answer = await api.emit()
    assert_error(answer, 503)
    assert "not known" in answer.json()["error"]["message"]


async def test_a_call_that_may_have_left_is_tried_again(temporal: Client, line: Line) -> None:
    client = failing_fast(await connect(line.address))
    line.lose_next()
    assert (await client.count_workflows("WorkflowType = 'Nobody'")).count == 0
    await line.cut()

    async def refused() -> bool:
        try:
            await client.service_client.check_health()
        except RPCError as err:
            return isinstance(err, NotConnected)
        return False

    await eventually(refused)
    with pytest.raises(NotConnected):
        await client.count_workflows("WorkflowType = 'Nobody'")


async def test_no_call_fails_for_a_connection_that_was_lost_since_the_last(
    temporal: Client, line: Line
) -> None:
    """The SDK may notice it before the next call, while it makes it, or after: try several.

    About one lost connection in a thousand leaves a call waiting until the SDK's 30 seconds are
    over, whose cause isn't known.
    """
    client = failing_fast(await connect(line.address))
    for _ in range(20):
        assert (await client.count_workflows("WorkflowType = 'Nobody'")).count == 0
        line.lose()


async def test_a_call_whose_time_is_over_is_not_made_again(
    temporal: Client, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await connect(line.address)
    made, make = [], client.service_client._rpc_call

    async def counted(rpc: str, *args: Any, **options: Any) -> Any:
        made.append(rpc)
        return await make(rpc, *args, **options)

    monkeypatch.setattr(client.service_client, "_rpc_call", counted)
    line.fall_silent()
    with pytest.raises(RPCError):
        await failing_fast(client).count_workflows("", rpc_timeout=timedelta(seconds=0.2))
    assert made == ["count_workflow_executions"]


@asynccontextmanager
async def signed_in(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=site.url, timeout=40, follow_redirects=True) as http:
        await sign_in(http, site.access_key, site.secret_key)
        yield http


@pytest.mark.parametrize("how", ["refuses", pytest.param("says nothing", marks=pytest.mark.slow)])
async def test_connections_and_rules_are_read_and_paused(
    stack: Stack, line: Line, how: str
) -> None:
    connection = await stack.connection("Newsletter")
    rule = await stack.rule(connection, "order.paid")
    async with open_site(stack) as site, signed_in(site) as http:
        if how == "refuses":
            await line.cut()
        else:
            line.fall_silent()
        listed = await http.get(site.at("/connections"))
        assert (listed.status_code, "unknown" in listed.text) == (200, True)
        page = await http.get(site.at(f"/connections/{connection.id}"))
        assert page.status_code == 200
        assert "The number of waiting events is unknown" in page.text
        form = {"csrf": token_in(page)}
        paused = await http.post(site.at(f"/connections/{connection.id}/pause"), data=form)
        assert (paused.status_code, "Paused" in paused.text) == (200, True)
        for path, text in (
            ("/rules", "order.paid"),
            (f"/rules/{rule.id}", "order.paid"),
            ("/rules/new", "Newsletter"),
        ):
            read = await http.get(site.at(path))
            assert (read.status_code, text in read.text) == (200, True), path
        off = await http.post(site.at(f"/rules/{rule.id}/switch"), data=form | {"active": "off"})
        assert off.status_code == 200
    stored = await stack.catalog.connections.get(stack.organization, connection.id)
    assert stored.status == "paused"
    assert not (await stack.catalog.rules.get(stack.organization, rule.id)).active


async def test_a_connection_is_resumed_and_its_page_says_when_deliveries_go_on(
    stack: Stack, line: Line
) -> None:
    connection = await stack.connection()
    await stack.catalog.connections.pause(stack.organization, connection.id)
    async with open_site(stack) as site, signed_in(site) as http:
        form = {"csrf": token_in(await http.get(site.at(f"/connections/{connection.id}")))}
        await line.cut()
        resumed = await http.post(site.at(f"/connections/{connection.id}/resume"), data=form)
        assert resumed.status_code == 200
        assert "within an hour of its return" in resumed.text
    stored = await stack.catalog.connections.get(stack.organization, connection.id)
    assert stored.status == "active"


async def test_a_changed_connection_is_answered_with_what_waits(
    api: Api, stack: Stack, line: Line
) -> None:
    connection = await stack.connection()
    path, owned = f"/connections/{connection.id}", (stack.organization, connection.id)
    key = {"name": "Newsletter", "metadata": {"region": "us", "cdpApiKey": "another-key"}}
    await stack.catalog.connections.pause(*owned)
    assert "warnings" not in (await api.post(f"{path}/resume")).json()
    await stack.catalog.connections.pause(*owned)
    await line.cut()
    for method, at, body, stored in (
        ("POST", f"{path}/resume", None, {"status": "active"}),
        ("PUT", path, key, {"status": "active", "credential_version": 2}),
    ):
        answer = await api.call(method, at, body)
        assert answer.status_code == 200, answer.text
        [warning] = answer.json()["warnings"]
        assert "stored" in warning
        assert "continue within an hour" in warning
        now = await stack.catalog.connections.get(*owned)
        assert {name: getattr(now, name) for name in stored} == stored
    answer = await api.call("DELETE", path)
    assert answer.status_code == 200, answer.text
    [warning] = answer.json()["warnings"]
    assert "fail within an hour" in warning
    with pytest.raises(NotFound):
        await stack.catalog.connections.get(*owned)
