"""What becomes of an event at faults that have no test of their own elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client

from delivery.mapping_schema import MappingSchema
from delivery.result import Status
from destinations.customerio.build import DEFAULT_MAPPING
from destinations.customerio.simulator import Fault
from engine.connect import connect
from engine.search_attributes import register_search_attributes
from eventlog.fetch import EventNotFound, describe_event, read_run_log
from eventlog.log import EventLog
from operations.event_redelivery import redeliver
from starter.dev.temporal_server import DevServer, Ports
from tests.api.line import DatabaseLine
from tests.integration.stack import eventually, open_stack, waits
from tests.unit.delivery_samples import path


def tells_of_the_catalog(log: EventLog) -> bool:
    return any("catalog can't be reached" in (one.last_error or "") for one in log.deliveries)


@pytest.mark.slow
async def test_a_delivery_under_way_waits_for_postgresql(temporal: Client, database: str) -> None:
    async with DatabaseLine(database) as line, open_stack(temporal, line.url) as stack:
        await stack.rule()
        stack.sim.fail("identify", fault=Fault(status=503), times=1)
        handle = await stack.emit()
        await stack.log_when(handle, waits)
        await line.cut()
        await stack.log_when(handle, tells_of_the_catalog)
        assert len(stack.calls()) == 1
        await line.mend()
        assert (await handle.result())["status"] == "completed"
        assert [request.call for request in stack.calls()] == ["identify", "identify", "track"]
        assert len({request.raw for request in stack.calls()[:2]}) == 1


async def test_accepted_events_survive_temporal_and_go_on_when_it_is_back(
    tmp_path: Path, database: str
) -> None:
    server = await DevServer.start(tmp_path, ui=False)
    try:
        client = await connect(server.address)
        await register_search_attributes(client)
        async with open_stack(client, database) as stack:
            await stack.rule()
            await stack.sim.refuse_connections("us")
            handle = await stack.emit()
            await stack.log_when(handle, waits)
            port = int(server.address.rpartition(":")[2])
            await server.stop()
            await stack.sim.accept_connections("us")
            server = await DevServer.start(tmp_path, ports=Ports(server=port), ui=False)
            log = await stack.ended(handle)
            assert log.status is Status.COMPLETED
            assert [request.call for request in stack.calls()] == ["identify", "track"]
    finally:
        await server.stop()


async def test_events_wait_while_no_worker_runs(temporal: Client, database: str) -> None:
    async with open_stack(temporal, database, working=False) as stack:
        await stack.rule()
        handle = await stack.emit()
        assert (await stack.log(handle)).status is Status.PENDING
        async with stack.make_worker():
            assert (await handle.result())["status"] == "completed"
        assert [request.call for request in stack.calls()] == ["identify", "track"]


async def test_what_a_mapping_has_failed_is_redelivered_with_the_corrected_one(
    temporal: Client, database: str
) -> None:
    async with open_stack(temporal, database) as stack:
        connection = await stack.connection()
        await stack.rule(connection)
        owned = (stack.organization, connection.id)
        fails = MappingSchema.model_validate(
            {"fields": [path("joined", "plan", {"type": "to_datetime"})]}
        )
        await stack.catalog.mappings.put_default(*owned, schema=fails)
        handle = await stack.emit()
        log = await stack.ended(handle)
        assert log.status is Status.FAILED
        assert stack.calls() == []
        await stack.catalog.mappings.put_default(*owned, schema=DEFAULT_MAPPING)
        await redeliver(stack.client, handle.id)
        assert (await handle.result())["status"] == "completed"
        assert [request.call for request in stack.calls()] == ["identify", "track"]


@pytest.mark.slow
async def test_after_its_retention_an_event_is_unknown_and_its_key_free(
    temporal: Client, database: str
) -> None:
    """The server deletes a run as it does when retention ends."""
    async with open_stack(temporal, database) as stack:
        await stack.rule()
        first = await stack.emit(idempotency_key="order-1")
        await first.result()
        described = await describe_event(temporal, first.id)
        await temporal.workflow_service.delete_workflow_execution(
            DeleteWorkflowExecutionRequest(
                namespace=temporal.namespace,
                workflow_execution=WorkflowExecution(workflow_id=first.id),
            )
        )

        async def forgotten() -> bool:
            try:
                await stack.log(first)
            except EventNotFound:
                return True
            return False

        await eventually(forgotten, within=60)
        with pytest.raises(EventNotFound):  # also after reading it has started
            await read_run_log(temporal, described)
        again = await stack.emit(idempotency_key="order-1")
        assert again.id == first.id
        await again.result()
        assert len(stack.calls()) == 4
