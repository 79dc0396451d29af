"""While a delivery waits, its attempts and the time of the next one can be read."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from activities import sender
from activities.call import CALL_POLICY
from activities.connection_limiter import LONGEST_WAIT_OF_FEW, TEST_WAIT
from activities.heartbeats import unknown_activity
from activities.match_rules import MatchRules
from catalog import Catalog
from catalog.encryption.cipher import CredentialCipher
from catalog.worker_share import since_ever
from delivery.delivery_log import CallLog
from destinations import registry
from destinations.customerio.simulator import Fault
from destinations.http.exchange import TOTAL_TIMEOUT_SECONDS
from emitonce.ids import Hashes
from tests.integration.stack import SECRET, Stack, eventually, open_stack, waits
from worker import make_worker
from workflows.deliver_event import DeliverEvent

HOUR = timedelta(hours=1)


async def waiting_call(stack: Stack) -> CallLog:
    await stack.rule()
    handle = await stack.emit()
    log = await stack.log_when(handle, waits)
    call = log.deliveries[0].identify
    assert log.status == "retrying"
    assert call is not None
    await stack.client.get_workflow_handle(handle.id).terminate()
    return call


async def test_a_waiting_delivery_shows_its_attempts(stack: Stack) -> None:
    await stack.rule()
    stack.sim.fail("track", fault=Fault(status=503), times=1)
    stack.sim.fail("track", fault=Fault(status=429, headers={"Retry-After": "600"}))
    handle = await stack.emit()

    log = await stack.log_when(
        handle, lambda log: waits(log) and log.deliveries[0].attempt_count == 3
    )
    [delivery] = log.deliveries
    assert delivery.status == log.status == "retrying"
    assert delivery.last_error == "rate_limited: 429: too many requests"
    assert delivery.identify is not None
    assert delivery.identify.outcome_code == "delivered"
    assert delivery.track is not None
    assert [attempt.status_code for attempt in delivery.track.attempts] == [503, 429]
    assert delivery.track.next_attempt_at == delivery.track.attempts[-1].next_attempt_at

    described = await stack.client.get_workflow_handle(handle.id).describe()
    [pending] = described.raw_description.pending_activities
    assert pending.HasField("heartbeat_details")
    planned = pending.next_attempt_schedule_time.ToDatetime(tzinfo=UTC)
    assert delivery.track.next_attempt_at is not None
    assert abs(planned - delivery.track.next_attempt_at) < timedelta(seconds=5)
    await stack.client.get_workflow_handle(handle.id).terminate()


async def test_retry_after_in_seconds_is_honored(stack: Stack) -> None:
    stack.sim.fail("identify", fault=Fault(status=429, headers={"Retry-After": "600"}))
    call = await waiting_call(stack)
    [attempt] = call.attempts
    assert attempt.outcome_code == "rate_limited"
    assert attempt.next_attempt_at is not None
    wait = attempt.next_attempt_at - attempt.started_at
    # Stretched by up to 20 %, so that those who were sent away together do not return together.
    assert timedelta(seconds=600) <= wait <= timedelta(seconds=600 * 1.2 + 10)


async def test_retry_after_as_a_date_is_honored(stack: Stack) -> None:
    date = datetime.now(UTC) + timedelta(minutes=30)
    header = {"Retry-After": format_datetime(date, usegmt=True)}
    stack.sim.fail("identify", fault=Fault(status=503, headers=header))
    call = await waiting_call(stack)
    assert call.next_attempt_at is not None
    assert call.next_attempt_at >= date - timedelta(seconds=1)
    assert call.next_attempt_at <= date + timedelta(minutes=7)


@pytest.mark.parametrize("asked", ["86400", "Fri, 31 Dec 2060 23:59:59 GMT"])
async def test_retry_after_is_bounded_by_an_hour(stack: Stack, asked: str) -> None:
    stack.sim.fail("identify", fault=Fault(status=429, headers={"Retry-After": asked}))
    call = await waiting_call(stack)
    assert call.next_attempt_at is not None
    wait = call.next_attempt_at - call.attempts[0].started_at
    assert HOUR <= wait <= HOUR * 1.2 + timedelta(seconds=10)


async def test_a_worker_that_lacks_the_credential_s_key_says_so(
    temporal: Client, database: str
) -> None:
    """It may be one of several and mended by its operator, so the delivery waits."""
    async with open_stack(temporal, database, working=False) as stack:
        await stack.rule()
        lacking = await Catalog.open(
            database, CredentialCipher({"k2": b"2" * 32}), Hashes(SECRET), registry
        )
        handle = await stack.emit()
        async with make_worker(stack.client, lacking, stack.clients, stack.settings):
            log = await stack.log_when(handle, waits)
        await lacking.close()
        assert log.deliveries[0].last_error is not None
        assert log.deliveries[0].last_error.startswith("internal_error: the connection's key can't")
        assert "EMITONCE_CREDENTIAL_KEYS" in log.deliveries[0].last_error
        assert not stack.calls()
        async with stack.make_worker():
            assert (await handle.result())["status"] == "completed"


@pytest.mark.slow
async def test_a_try_of_a_release_that_does_not_know_the_call_made_no_request(
    temporal: Client, database: str
) -> None:
    async with open_stack(temporal, database, working=False) as stack:
        await stack.rule()
        handle = await stack.emit()
        async with Worker(
            stack.client,
            task_queue=stack.task_queue,
            workflows=[DeliverEvent],
            activities=[
                MatchRules(stack.catalog.rule_lookup, lambda: stack.fleet, since_ever).match_rules,
                unknown_activity,
            ],
            workflow_runner=SandboxedWorkflowRunner(),
        ):
            await eventually(lambda: _tried(stack, handle.id, 3))
        async with stack.make_worker():
            log = await stack.ended(handle)
        assert log.status == "completed"
        assert log.deliveries[0].identify is not None
        *unsent, delivered = log.deliveries[0].identify.attempts
        assert len(unsent) >= 2
        for attempt in unsent:
            assert attempt.request_made is False
            assert "doesn't know 'identify', so no request was made" in attempt.message
        assert (delivered.number, delivered.request_made) == (len(unsent) + 1, True)


async def _tried(stack: Stack, event_id: str, attempt: int) -> bool:
    described = await stack.client.get_workflow_handle(event_id).describe()
    pending = described.raw_description.pending_activities
    return any(info.attempt >= attempt for info in pending)


@pytest.mark.parametrize(("status", "telling"), [(429, "slow_down"), (401, "deactivate")])
@pytest.mark.parametrize("trouble", ["hangs", "fails"])
async def test_an_answer_is_on_record_whatever_the_catalog_does(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, status: int, telling: str, trouble: str
) -> None:
    async def in_trouble(*_: object, **__: object) -> None:
        if trouble == "fails":
            raise LookupError("not an error of the catalog's own")
        await asyncio.Event().wait()

    monkeypatch.setattr("activities.sender.STORE_SECONDS", 0.2)
    monkeypatch.setattr(stack.catalog.credentials, telling, in_trouble)
    stack.sim.fail("identify", fault=Fault(status=status, headers={"Retry-After": "600"}))
    call = await waiting_call(stack)
    [attempt] = call.attempts
    assert (attempt.status_code, attempt.request_made) == (status, True)


@pytest.mark.parametrize("trouble", ["hangs", "fails"])
async def test_a_catalog_that_does_not_answer_costs_no_request(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    async def in_trouble(*_: object) -> None:
        if trouble == "fails":
            raise LookupError("not an error of the catalog's own")
        await asyncio.Event().wait()

    monkeypatch.setattr("activities.sender.READY_SECONDS", 0.2)
    monkeypatch.setattr(stack.catalog.credentials, "credential", in_trouble)
    call = await waiting_call(stack)
    attempt = call.attempts[0]
    assert (attempt.outcome_code, attempt.request_made) == ("internal_error", False)
    assert "so no request was made" in attempt.message
    assert stack.calls() == []


def test_a_try_fits_into_its_time_with_room_to_spare() -> None:
    longest = sender.READY_SECONDS + TOTAL_TIMEOUT_SECONDS + sender.STORE_SECONDS
    assert CALL_POLICY.start_to_close is not None
    assert timedelta(seconds=longest + 5) <= CALL_POLICY.start_to_close
    assert max(TEST_WAIT, LONGEST_WAIT_OF_FEW) < sender.READY_SECONDS


async def test_a_connection_deleted_meanwhile_ends_the_delivery(stack: Stack) -> None:
    connection = await stack.connection()
    await stack.rule(connection)
    stack.sim.fail("identify", fault=Fault(status=503), times=1)
    handle = await stack.emit()
    await stack.log_when(handle, waits)
    await stack.catalog.connections.delete(stack.organization, connection.id, force=True)
    log = await stack.ended(handle)
    assert log.status == "failed"
    assert log.deliveries[0].last_error is not None
    assert "the connection was deleted" in log.deliveries[0].last_error
    assert len(stack.calls()) == 1
