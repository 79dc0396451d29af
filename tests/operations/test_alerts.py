"""Operators are alerted to what matters: once, signed, and without anyone's personal data."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr
from temporalio.client import Client, WorkflowHandle

from catalog.traffic import Waiting
from delivery.alert import FAILING_ALERTS, InactiveConnection, LastResponse, WatchState
from delivery.outcome import OutcomeCode
from delivery.traffic import Tally
from destinations.customerio.simulator import US_KEY, Fault
from destinations.webhook.signature import read_secret, signed
from operations.alert_search import AlertCriteria, AlertSearch
from operations.alert_watch import start_watch
from operations.held_runs import count_held
from operations.steering import resume_connection
from tests.conftest import psql
from tests.integration.stack import SAMPLE, Stack, eventually, is_held, open_stack
from tests.operations.alert_receiver import KEY, SECRET, Receiver, open_receiver
from tests.operations.many import all_ended, emit_many

UI = "http://ui.example:8233"


@asynccontextmanager
async def watched(
    temporal: Client,
    database: str,
    receiver: Receiver,
    *,
    watching: bool = True,
    **overrides: Any,
) -> AsyncIterator[Stack]:
    """A stack whose worker's settings name the receiver; `watching=False`: it has no watch yet."""
    named = {"alert_url": SecretStr(receiver.url), "alert_secret": SecretStr(SECRET)}
    settings = {"alert_every_seconds": 0.5, "ui_url": UI} | named | overrides
    async with open_stack(temporal, database, working=False, **settings) as stack:
        async with stack.make_worker():
            if watching:
                await start_watch(stack.client, stack.task_queue)
            yield stack
        await watch_of(stack).terminate()


def watch_of(stack: Stack) -> WorkflowHandle[Any, Any]:
    return stack.client.get_workflow_handle(f"watch-{stack.task_queue}")


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with open_receiver() as receiver:
        yield receiver


async def test_a_connection_that_goes_inactive_and_one_that_recovers(
    temporal: Client, database: str, receiver: Receiver
) -> None:
    async with watched(temporal, database, receiver) as stack:
        connection = await stack.connection(api_key="not-the-key")
        rule = await stack.rule(connection)
        handle = await stack.emit()
        [inactive] = await receiver.until("connection.inactive")
        assert inactive["connection"] == connection.id
        assert inactive["workspace"] == stack.workspace
        assert (inactive["event_id"], inactive["rule"]) == (handle.id, rule.id)
        assert inactive["last_response"] == {
            "call": "identify",
            "outcome_code": "auth_failed",
            "status_code": 401,
            "message": "401: wrong key or wrong region",
        }
        assert inactive["url"].startswith(f"{UI}/namespaces/default/workflows/{handle.id}")

        await stack.catalog.connections.update(
            stack.organization, connection.id, fields={"cdpApiKey": US_KEY}
        )
        await resume_connection(stack.client, connection.id, task_queue=stack.task_queue)
        [recovered] = await receiver.until("connection.recovered")
        assert recovered["connection"] == connection.id
        await handle.result()
        assert len(receiver.of("connection.inactive")) == 1


async def test_a_connection_refused_again_between_two_looks_is_told_again(stack: Stack) -> None:
    """And nothing else that changes in it meanwhile is, such as its name."""
    search = search_of(stack)
    rule = await stack.rule(connection := await stack.connection(api_key="not-the-key"))
    known, told = WatchState(failed_until=datetime.now(UTC)), []
    for times in (1, 2):
        await stack.ended(await stack.emit(only_rules=[rule.id], test=True))
        for _ in range(2):
            seen = await search.find_alerts(known)
            known, told = seen.known, told + [alert.id for alert in seen.alerts]
            await stack.catalog.connections.update(
                stack.organization, connection.id, name="Renamed"
            )
        assert len(set(told)) == len(told) == times
        await stack.catalog.connections.resume(stack.organization, connection.id)


async def test_what_a_look_of_an_older_release_has_found_is_not_told_again(stack: Stack) -> None:
    """That release took the last change of the connection, whatever it was, for the moment since
    when it is inactive."""
    search = search_of(stack)
    owned = (stack.organization, (await stack.connection()).id)
    await stack.catalog.credentials.deactivate(owned[1], version=1)
    inactive = await stack.catalog.connections.get(*owned)
    renamed = await stack.catalog.connections.update(*owned, name="Renamed")
    for found in (inactive, renamed):
        since = InactiveConnection(id=found.id, workspace=found.workspace, since=found.updated_at)
        known = WatchState(failed_until=datetime.now(UTC), inactive=(since,))
        assert (await search.find_alerts(known)).alerts == ()
    await stack.catalog.connections.resume(*owned)
    await stack.catalog.credentials.deactivate(owned[1], version=1)
    assert len((await search.find_alerts(known)).alerts) == 1


async def test_a_connection_inactive_since_before_that_was_recorded_is_not_told_again(
    stack: Stack,
) -> None:
    search = search_of(stack)
    owned = (stack.organization, (await stack.connection()).id)
    await stack.catalog.credentials.deactivate(owned[1], version=1)
    async with psql(stack.database) as older:
        await older.execute("UPDATE connections SET inactive_since = NULL")
    seen = await search.find_alerts(WatchState(failed_until=datetime.now(UTC)))
    assert len(seen.alerts) == 1
    await stack.catalog.connections.update(*owned, name="Renamed")
    assert (await search.find_alerts(seen.known)).alerts == ()


def search_of(stack: Stack, *in_use: str) -> AlertSearch:
    criteria = AlertCriteria(stack.task_queue, every_seconds=1, backlog_minutes=15)
    catalog = stack.catalog
    return AlertSearch(stack.client, catalog.credentials, catalog.traffic, criteria, lambda: in_use)


async def test_the_last_response_is_that_of_the_request_that_was_refused(
    temporal: Client, database: str, receiver: Receiver
) -> None:
    """Also where the event held last has never been sent."""
    async with watched(temporal, database, receiver, watching=False) as stack:
        connection = await stack.connection(api_key="not-the-key")
        await stack.rule(connection)
        refused = await stack.emit()
        await stack.log_when(refused, is_held)
        later = await stack.emit()
        await stack.log_when(later, is_held)

        async def both_are_listed() -> bool:
            return await count_held(stack.client, connection.id) == 2

        await eventually(both_are_listed)
        await start_watch(stack.client, stack.task_queue)
        [inactive] = await receiver.until("connection.inactive")
        assert inactive["last_response"]["status_code"] == 401
        assert inactive["event_id"] == refused.id


async def test_a_refused_test_event_is_in_the_alert(
    temporal: Client, database: str, receiver: Receiver
) -> None:
    """It isn't held, so nothing waits that could tell of it."""
    async with watched(temporal, database, receiver) as stack:
        rule = await stack.rule(await stack.connection(api_key="not-the-key"))
        tried = await stack.emit(only_rules=[rule.id], test=True)
        await stack.ended(tried)
        [inactive] = await receiver.until("connection.inactive")
        assert inactive["last_response"]["status_code"] == 401
        assert (inactive["event_id"], inactive["rule"]) == (tried.id, rule.id)


@pytest.mark.slow
async def test_alerts_name_what_they_are_about(
    temporal: Client, database: str, receiver: Receiver
) -> None:
    async with watched(temporal, database, receiver) as stack:
        connection = await stack.connection("Newsletter", api_key="not-the-key")
        await stack.rule(connection)
        held = await stack.emit()
        [inactive] = await receiver.until("connection.inactive")
        await stack.catalog.connections.update(
            stack.organization, connection.id, fields={"cdpApiKey": US_KEY}
        )
        await resume_connection(stack.client, connection.id, task_queue=stack.task_queue)
        [recovered] = await receiver.until("connection.recovered")
        await held.result()
        stack.sim.fail("identify", fault=Fault(status=400), times=1)
        await stack.ended(await stack.emit())
        [failed] = await receiver.until("delivery.failed")
        for alert in (inactive, recovered, failed):
            assert alert["workspace_name"] == "Acme app"
            assert alert["connection_name"] == "Newsletter"
        assert inactive["event"] == failed["event"] == "user.signup"


async def test_a_delivery_that_failed_for_good(
    temporal: Client, database: str, receiver: Receiver
) -> None:
    async with watched(temporal, database, receiver) as stack:
        rule = await stack.rule()
        stack.sim.fail("identify", fault=Fault(status=400, echo=True), times=1)
        failed = await stack.emit()
        await stack.ended(failed)
        [alert] = await receiver.until("delivery.failed")
        assert (alert["event_id"], alert["rule"]) == (failed.id, rule.id)
        assert alert["last_response"]["status_code"] == 400
        assert alert["message"].startswith("Customer.io refused the message (400); ")
        await stack.ended(await stack.emit())  # a delivered one is no news
        await _looked(stack, 3)
        assert len(receiver.alerts) == 1


@pytest.mark.slow
async def test_a_flood_of_failures_is_told_in_one(
    temporal: Client, database: str, receiver: Receiver
) -> None:
    async with watched(temporal, database, receiver, alert_every_seconds=1) as stack:
        await stack.rule()
        stack.sim.fail("identify", fault=Fault(status=400))
        handles = await emit_many(stack, (f"person-{number}" for number in range(40)))
        await all_ended(stack, handles.values())

        async def told_of_all() -> bool:
            more = sum(alert["count"] for alert in receiver.of("deliveries.failed"))
            return len(receiver.of("delivery.failed")) + more == 40

        await eventually(told_of_all)
        assert len(receiver.alerts) < 40
        [told, *_] = receiver.of("deliveries.failed")
        assert "mostly because Customer.io refused the message (400);" in told["message"]


async def test_failures_beyond_those_that_are_listed_are_counted_once(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("operations.alert_search.MOST_LISTED", 15)
    search = search_of(stack)
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=400))
    known, before = WatchState(failed_until=datetime.now(UTC)), 0
    for further in (40, 25, 3, 0):  # the first two are more than are listed
        handles = await emit_many(stack, (f"person-{number}" for number in range(further)))
        await all_ended(stack, handles.values())
        before += further
        await eventually(partial(_failed, stack, before))
        seen = await search.find_alerts(known)
        assert sum(alert.count or 0 for alert in seen.alerts) == further
        known = seen.known


async def _failed(stack: Stack, count: int) -> bool:
    query = f"TaskQueue = '{stack.task_queue}' AND ExecutionStatus = 'Failed'"
    return (await stack.client.count_workflows(query)).count == count


@pytest.mark.slow
async def test_a_backlog_is_told_once_and_held_deliveries_are_none(
    temporal: Client, database: str, receiver: Receiver
) -> None:
    minutes = 1 / 60
    async with watched(temporal, database, receiver, alert_backlog_minutes=minutes) as stack:
        paused = await stack.connection("Paused")
        await stack.catalog.connections.pause(stack.organization, paused.id)
        await stack.rule(paused, "held.event")
        held = await stack.emit("held.event")
        await stack.rule(event="slow.event")
        stack.sim.fail("identify", fault=Fault(status=503))
        slow = await stack.emit("slow.event")
        [alert] = await receiver.until("backlog.old")
        assert (alert["event_id"], alert["count"]) == (slow.id, 1)
        assert alert["last_response"]["status_code"] == 503
        await _looked(stack, 3)
        assert len(receiver.of("backlog.old")) == 1
        for handle in (held, slow):
            await stack.client.get_workflow_handle(handle.id).terminate()


@pytest.mark.slow
async def test_an_alert_that_is_not_taken_is_sent_again_under_its_id_and_alerts_nobody(
    temporal: Client, database: str, receiver: Receiver
) -> None:
    receiver.answers = [503]
    async with watched(temporal, database, receiver) as stack:
        await stack.rule()
        stack.sim.fail("identify", fault=Fault(status=400), times=1)
        await stack.ended(await stack.emit())
        await receiver.until("delivery.failed")
        ids = [post["webhook-id"] for post in receiver.posts]
        assert len(ids) == 2
        assert len(set(ids)) == 1
        assert len(receiver.alerts) == 1

        receiver.answers = [410]
        stack.sim.fail("identify", fault=Fault(status=400), times=1)
        await stack.ended(await stack.emit())
        await eventually(lambda: _async(len(receiver.posts) == 3))
        await _looked(stack, 3)
        assert len(receiver.posts) == 3, "an alert about an alert, or one to who is gone"


async def test_alerts_hold_no_personal_data(
    temporal: Client, database: str, receiver: Receiver
) -> None:
    async with watched(temporal, database, receiver) as stack:
        await stack.rule()
        stack.sim.fail("identify", fault=Fault(status=400, echo=True))
        await stack.ended(await stack.emit())
        await receiver.until("delivery.failed")
        told = json.dumps(receiver.alerts)
        for value in (*SAMPLE.values(), US_KEY):
            assert str(value) not in told.replace('"event_id"', "")


async def _async(value: bool) -> bool:
    return value


async def _looked(stack: Stack, times: int) -> None:
    """Wait for so many further looks."""

    async def looks() -> int:
        events = (await watch_of(stack).fetch_history()).events
        return sum(event.HasField("activity_task_completed_event_attributes") for event in events)

    wanted = await looks() + times

    async def enough() -> bool:
        return await looks() >= wanted

    await eventually(enough)


def test_signature_is_that_of_the_published_scheme() -> None:
    """The example of the Standard Webhooks reference libraries."""
    secret = SecretStr("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    moment = datetime.fromtimestamp(1614265330, UTC)
    headers = signed((secret,), "msg_p5jXN8AQM9LWM0D4loKWxJek", moment, b'{"test": 2432232314}')
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",  # pragma: allowlist secret
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize("secret", ["", "MfKQ9r8G", "whsec_?", "whsec_c2hvcnQ="])
def test_a_secret_that_is_none_is_refused_without_repeating_it(secret: str) -> None:
    with pytest.raises(ValueError, match="must") as caught:
        read_secret(secret)
    assert secret == "" or secret not in str(caught.value).replace("whsec_", "")
    assert KEY not in str(caught.value).encode()


async def test_a_connection_that_only_fails_is_reported_once_and_when_it_recovers(
    stack: Stack,
) -> None:
    connection = await stack.connection("Newsletter")
    search = search_of(stack, FAILING_ALERTS)
    error = LastResponse(
        call="identify",
        outcome_code=OutcomeCode.REJECTED_SERVER_ERROR,
        status_code=503,
        message="503",
    )
    traffic, known = stack.catalog.traffic, WatchState(failed_until=datetime.now(UTC))
    tally = Tally(last_failure=0.0, last_error=error, failing_since=0.0, failures=3)
    await traffic.add({connection.id: tally}, now=60.0)
    assert (await search.find_alerts(known)).alerts == (), "nothing waits"
    await traffic.set_waiting({connection.id: Waiting(7)})
    beside_older_workers = await search_of(stack).find_alerts(known)
    assert beside_older_workers.alerts == (), "they could not read it"
    seen = await search.find_alerts(known)
    [alert] = seen.alerts
    assert (alert.type, alert.connection_name, alert.count) == (
        *("connection.failing", "Newsletter"),
        7,
    )
    assert "Customer.io answers 503" in alert.message
    assert (await search.find_alerts(seen.known)).alerts == ()
    assert (await search_of(stack).find_alerts(seen.known)).known.failing == seen.known.failing
    await traffic.add({connection.id: Tally(last_success=60.0)}, now=60.0)
    [recovered] = (await search.find_alerts(seen.known)).alerts
    assert recovered.type == "connection.recovered"
