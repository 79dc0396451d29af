"""The metrics tell whether it is delivering, and nothing of whom."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
import structlog
from temporalio.client import Client

from destinations.customerio.simulator import Fault
from engine.connect import connect
from engine.telemetry import TelemetryError, open_telemetry
from operations.backlog import measured_backlog
from starter.dev.temporal_server import free_port
from tests.integration.stack import SAMPLE, Stack, eventually, is_held, open_stack, waits
from tests.ship.scrape import Metrics, scrape


@dataclass
class Observed:
    """A stack whose process serves metrics. Counts are read as what a test has added."""

    stack: Stack
    address: str
    before: Metrics

    async def metrics(self) -> Metrics:
        return await scrape(self.address)

    async def added(self, name: str, **labels: str) -> float:
        now = await self.metrics()
        return now.value(name, **labels) - self.before.value(name, **labels)

    async def comes(self, count: float, name: str, **labels: str) -> None:
        async def holds() -> bool:
            return await self.added(name, **labels) == count

        await eventually(holds)


@pytest_asyncio.fixture(scope="module")
async def metered(temporal: Client) -> AsyncIterator[tuple[Client, str]]:
    address = f"127.0.0.1:{free_port()}"
    telemetry = open_telemetry(metrics_address=address, role="worker")
    yield (
        await connect(
            temporal.service_client.config.target_host,
            runtime=telemetry.runtime,
            data_converter=temporal.data_converter,
        ),
        address,
    )


@pytest_asyncio.fixture
async def observed(metered: tuple[Client, str], database: str) -> AsyncIterator[Observed]:
    client, address = metered
    async with open_stack(client, database) as stack:
        yield Observed(stack, address, await scrape(address))


async def test_a_delivered_event_is_counted_as_delivered(observed: Observed) -> None:
    rule = await observed.stack.rule()
    await (await observed.stack.emit()).result()
    await observed.comes(1, "emitonce_events_accepted_total")
    await observed.comes(1, "emitonce_events_ended_total", status="completed")
    delivered = {"connection": rule.connection, "outcome": "delivered", "then": "done"}
    for call in ("identify", "track"):
        await observed.comes(1, "emitonce_attempts_total", call=call, **delivered)
        await observed.comes(1, "emitonce_vendor_latency_seconds_count", call=call)
    await observed.comes(
        1, "emitonce_deliveries_ended_total", status="completed", connection=rule.connection
    )
    await observed.comes(1, "emitonce_delivery_latency_seconds_count")


async def test_a_refused_event_is_counted_as_failed(observed: Observed) -> None:
    await observed.stack.rule()
    observed.stack.sim.fail("identify", fault=Fault(status=400))
    await observed.stack.ended(await observed.stack.emit())
    await observed.comes(1, "emitonce_events_ended_total", status="failed")
    await observed.comes(1, "emitonce_deliveries_ended_total", status="failed")
    refused = {"outcome": "rejected_client_error", "then": "failed"}
    await observed.comes(1, "emitonce_attempts_total", call="identify", **refused)
    await observed.comes(0, "emitonce_delivery_latency_seconds_count")


async def test_a_retry_is_counted_by_its_outcome(observed: Observed) -> None:
    await observed.stack.rule()
    observed.stack.sim.fail("identify", fault=Fault(status=503), times=1)
    handle = await observed.stack.emit()
    await observed.stack.log_when(handle, waits)
    await observed.comes(
        1, "emitonce_attempts_total", outcome="rejected_server_error", then="retry"
    )
    await handle.result()


async def test_a_held_event_is_counted_and_stands_as_held(observed: Observed) -> None:
    stack = observed.stack
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=401))
    telemetry = stack.client.service_client.config.runtime
    assert telemetry is not None
    await stack.log_when(await stack.emit(), is_held)
    await observed.comes(1, "emitonce_attempts_total", outcome="auth_failed", then="held")
    async with measured_backlog(stack.client, stack.task_queue, telemetry.metric_meter, 0.5):

        async def stands() -> bool:
            return (await observed.metrics()).value(
                "emitonce_events_held", task_queue=stack.task_queue
            ) >= 1

        await eventually(stands)


async def test_a_try_that_finds_its_connection_paused_is_no_error(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = observed.stack
    connection = await stack.connection()
    await stack.rule(connection)
    await stack.catalog.connections.pause(stack.organization, connection.id)
    with structlog.testing.capture_logs() as lines:
        monkeypatch.setattr("engine.observed_worker.log", structlog.get_logger())
        handle = await stack.emit()
        log = await stack.log_when(handle, is_held)
        await observed.comes(1, "emitonce_attempts_total", outcome="held", then="held")
    await observed.comes(0, "emitonce_attempts_total", outcome="internal_error")
    [line] = [line for line in lines if line["event"] == "attempt"]
    assert (line["outcome"], line["then"], line["attempt"]) == ("held", "held", 0)
    [delivery] = log.deliveries
    assert (delivery.held, delivery.last_error) == ("held: the connection is paused", None)
    await stack.client.get_workflow_handle(handle.id).terminate()


async def test_tasks_without_a_worker_are_the_backlog(
    metered: tuple[Client, str], database: str
) -> None:
    client, address = metered
    runtime = client.service_client.config.runtime
    assert runtime is not None
    async with open_stack(client, database, working=False) as stack:
        for _ in range(3):
            await stack.emit()
        async with measured_backlog(client, stack.task_queue, runtime.metric_meter, 0.5):

            async def waits() -> bool:
                labels = {"task_queue": stack.task_queue, "kind": "workflow"}
                metrics = await scrape(address)
                return (
                    metrics.value("emitonce_backlog_tasks", **labels) == 3
                    and metrics.value("emitonce_backlog_age_seconds", **labels) > 0
                )

            await eventually(waits)


async def test_an_unreadable_event_is_counted_as_invalid(observed: Observed) -> None:
    handle = await observed.stack.client.start_workflow(
        "DeliverEvent",
        {"workspace": "nobody"},
        id="3f0c2a4e-1111-4222-8333-444455556666",
        task_queue=observed.stack.task_queue,
    )
    with pytest.raises(Exception, match="failed"):
        await handle.result()
    await observed.comes(1, "emitonce_events_ended_total", status="invalid")


async def test_metrics_hold_no_personal_data(observed: Observed) -> None:
    await observed.stack.rule()
    await (await observed.stack.emit(resource_id="someone@example.com")).result()
    await observed.comes(1, "emitonce_events_ended_total")
    text = (await observed.metrics()).text
    for personal in ("usr_2048", "example.com", SAMPLE["first_name"], "user.signup"):
        assert personal not in text


async def test_an_address_in_use_is_told_in_one_sentence(metered: tuple[Client, str]) -> None:
    _, address = metered
    with pytest.raises(TelemetryError, match=r"EMITONCE_METRICS_ADDRESS=.*port of its own"):
        open_telemetry(metrics_address=address, role="worker")
    with pytest.raises(TelemetryError, match="host:port"):
        open_telemetry(metrics_address="nonsense", role="worker")
