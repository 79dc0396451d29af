"""New code beside old: what is under way stays on the build that it began with."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from temporalio import workflow
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.service import RPCError
from temporalio.worker import Worker

from destinations.customerio.simulator import Fault
from destinations.customerio.traits import collect_traits
from tests.integration.stack import Stack, eventually, open_stack, waits
from tests.operations.processes import command


async def set_current(client: Client, deployment: str, build: str) -> None:
    """As `temporal worker deployment set-current-version` does, once a worker of it is known."""
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=client.namespace, deployment_name=deployment, build_id=build
    )

    async def known() -> bool:
        try:
            await client.workflow_service.set_worker_deployment_current_version(request)
        except RPCError:
            return False
        return True

    await eventually(known, within=30)


async def build_of(client: Client, event_id: str) -> str:
    request = DescribeWorkflowExecutionRequest(namespace=client.namespace)
    request.execution.workflow_id = event_id
    described = await client.workflow_service.describe_workflow_execution(request)
    return described.workflow_execution_info.versioning_info.deployment_version.build_id


@pytest.mark.slow
async def test_an_event_ends_on_the_build_that_it_began_with(
    temporal: Client, database: str
) -> None:
    deployment = f"emitonce-{uuid.uuid4()}"
    async with open_stack(
        temporal, database, working=False, deployment=deployment, build_id="old"
    ) as stack:
        await stack.rule()
        old = stack.make_worker()
        stack.settings = stack.settings.model_copy(update={"build_id": "new"})
        new = stack.make_worker()
        async with old:
            await set_current(temporal, deployment, "old")
            stack.sim.fail("identify", fault=Fault(status=503), times=2)
            early = await stack.emit()
            await stack.log_when(early, waits)
            async with new:
                await set_current(temporal, deployment, "new")
                late = await stack.emit()
                assert (await late.result())["status"] == "completed"
                assert (await early.result())["status"] == "completed"
        assert await build_of(temporal, early.id) == "old"
        assert await build_of(temporal, late.id) == "new"


async def test_replay_tells_which_histories_new_code_cannot_replay(
    temporal: Client, database: str
) -> None:
    async with open_stack(temporal, database, working=False) as stack:
        await stack.rule()
        worker = stack.make_worker()
        async with worker:
            await (await stack.emit()).result()
        ended = await replayed(stack, 1)
        assert ended == {"histories": 1, "failures": {}}
        # A run of code that this checkout has never had: its history starts with a timer.
        foreign = str(uuid.uuid4())
        async with Worker(temporal, task_queue=stack.task_queue, workflows=[OtherCode]):
            await temporal.execute_workflow(
                "DeliverEvent", {}, id=foreign, task_queue=stack.task_queue
            )
        ended = await replayed(stack, 2)
        assert list(ended["failures"]) == [foreign]


async def test_replay_tells_which_runs_new_code_would_send_other_bytes_for(
    temporal: Client, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_one_more(*arguments: Any, **options: Any) -> Any:
        traits, warnings = collect_traits(*arguments, **options)
        return {**traits, "seats": 5}, warnings

    async with open_stack(temporal, database, working=False) as stack:
        await stack.rule()
        with monkeypatch.context() as older:
            older.setattr("destinations.customerio.build.collect_traits", with_one_more)
            async with stack.make_worker():
                event = await stack.emit()
                await event.result()
        ended = await replayed(stack, 1)
        assert list(ended["failures"]) == [event.id]
        assert "message.body.traits.seats" in ended["failures"][event.id]


async def replayed(stack: Stack, histories: int) -> dict[str, Any]:
    """What `emitonce replay` says, once visibility lists so many runs."""
    told: dict[str, Any] = {}

    async def all_listed() -> bool:
        query = f"TaskQueue = '{stack.task_queue}'"
        return (await stack.client.count_workflows(query)).count == histories

    await eventually(all_listed)
    ended = await command(stack, "replay", "--json")
    told = json.loads(ended.out)
    assert ended.code == (1 if told["failures"] else 0), ended.err
    return told


@workflow.defn(name="DeliverEvent", sandboxed=False)
class OtherCode:
    @workflow.run
    async def run(self, raw: RawValue) -> None:
        await workflow.sleep(0.01)
