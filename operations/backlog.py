"""Measure at intervals what waits: tasks for a worker, events for a connection.

Every worker measures, so the metrics exist as long as one of them is alive. An alert on them must
also fire when they are absent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue, TaskQueueStats
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.common import MetricMeter

from delivery.search_attributes import HELD, STATE
from engine import metric_names as names
from operations.background import repeated

EVERY_SECONDS = 15.0

_KINDS = {
    "workflow": TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    "activity": TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
}
_HELD_EVENTS = (
    f"WorkflowType = 'DeliverEvent' AND ExecutionStatus = 'Running' AND {STATE.name} = '{HELD}'"
)


@asynccontextmanager
async def measured_backlog(
    client: Client, task_queue: str, meter: MetricMeter, every_seconds: float = EVERY_SECONDS
) -> AsyncIterator[None]:
    """Measure in the background for as long as the context is open."""
    age = meter.create_gauge_float(names.BACKLOG_AGE, "Age of the oldest task without a worker")
    tasks = meter.create_gauge(names.BACKLOG_TASKS, "Tasks without a worker")
    held = meter.create_gauge(names.EVENTS_HELD, "Events that wait for a connection")

    async def measure() -> None:
        for kind, value in _KINDS.items():
            stats = await queue_stats(client, task_queue, value)
            labels = {"task_queue": task_queue, "kind": kind}
            age.set(stats.approximate_backlog_age.ToTimedelta().total_seconds(), labels)
            tasks.set(stats.approximate_backlog_count, labels)
        counted = await client.count_workflows(_HELD_EVENTS)
        held.set(counted.count, {"task_queue": task_queue})

    failing = "the backlog can't be measured"
    async with repeated(measure, every_seconds=every_seconds, name="backlog", failing=failing):
        yield


async def queue_stats(
    client: Client, task_queue: str, kind: TaskQueueType.ValueType
) -> TaskQueueStats:
    """Return how many tasks of a kind wait for a worker, and for how long."""
    described = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=task_queue),
            task_queue_type=kind,
            report_stats=True,
        )
    )
    return described.stats
