"""Replay recorded runs with this code, and compare what it would send with what was sent.

The SDK compares the commands of a run, types and ids, and not what an activity is given. Messages
are built in workflow code, so a change of their bytes replays without an error, and a held or
retried delivery would go out under the same messageId with another body.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import ActivityTaskScheduledEventAttributes
from temporalio.client import WorkflowHistory
from temporalio.converter import DataConverter, PayloadConverter, WorkflowSerializationContext
from temporalio.worker import (
    Interceptor,
    Replayer,
    StartActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
    WorkflowRunner,
)

from delivery.text import shown

NAMESPACE = "ReplayNamespace"


class InputChanged(Exception):
    """This code gives an activity a different input than was recorded. Names places, not values."""


async def replay(
    histories: AsyncIterator[WorkflowHistory],
    *,
    workflows: Sequence[type],
    data_converter: DataConverter,
    interceptors: Sequence[Interceptor],
    runner: WorkflowRunner,
) -> AsyncIterator[tuple[WorkflowHistory, Exception | None]]:
    """Replay each history; yield it with its failure, or None.

    A failure is the SDK's `NondeterminismError`, a failing workflow task, or `InputChanged`.
    """
    given = _GivenInputs()
    replayer = Replayer(
        workflows=workflows,
        data_converter=data_converter,
        interceptors=[*interceptors, given],
        workflow_runner=runner,
        namespace=NAMESPACE,
    )
    async with replayer.workflow_replay_iterator(histories) as results:
        async for result in results:
            arguments = given.take()
            failure = result.replay_failure
            if failure is None:
                failure = await _difference(result.history, arguments, data_converter)
            yield result.history, failure


class _GivenInputs(Interceptor):
    """Keeps what the run that is being replayed gives to activities: one run at a time."""

    def __init__(self) -> None:
        self._given: list[StartActivityInput] = []

    def take(self) -> list[StartActivityInput]:
        taken, self._given = self._given, []
        return taken

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        keep = self._keep

        class Outbound(WorkflowOutboundInterceptor):
            def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:
                keep(input)
                return super().start_activity(input)

        class Inbound(WorkflowInboundInterceptor):
            def init(self, outbound: WorkflowOutboundInterceptor) -> None:
                super().init(Outbound(outbound))

        return Inbound

    def _keep(self, given: StartActivityInput) -> None:
        self._given.append(given)


async def _difference(
    history: WorkflowHistory, given: Sequence[StartActivityInput], data_converter: DataConverter
) -> InputChanged | None:
    """Compare the activities that were scheduled, in order, with those of the same type and id."""
    left = list(given)
    bound = data_converter.with_context(
        WorkflowSerializationContext(namespace=NAMESPACE, workflow_id=history.workflow_id)
    )
    for event in history.events:
        if event.event_type != EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            continue
        scheduled = event.activity_task_scheduled_event_attributes
        match = next((one for one in left if _is(one, scheduled)), None)
        if match is None:  # a history cut off before the task that scheduled it was completed
            continue
        left.remove(match)
        types = [type(argument) for argument in match.args]
        recorded = await bound.decode(scheduled.input.payloads, types)
        if place := _first_difference(recorded, match.args, bound.payload_converter):
            return InputChanged(
                f"event {event.event_id}: {scheduled.activity_type.name} is given another {place} "
                "than the run recorded. A recorded run keeps its bytes: undo the change for its "
                'build, and make it a new build, one number higher (docs/decisions.md, "Builds")'
            )
    return None


def _is(given: StartActivityInput, scheduled: ActivityTaskScheduledEventAttributes) -> bool:
    """Compare type and id; the id is None where the SDK numbers the activity."""
    same_type = given.activity == scheduled.activity_type.name
    return same_type and given.activity_id in (None, scheduled.activity_id)


def _first_difference(
    recorded: Sequence[Any], rebuilt: Sequence[Any], converter: PayloadConverter
) -> str | None:
    """Return the path to the first difference; None if both have the same bytes.

    Both are encoded by today's types, so a field with a default that was added since is ignored.
    """
    before, after = converter.to_payloads(recorded), converter.to_payloads(rebuilt)
    for old, new in zip(before, after, strict=True):
        if old.data != new.data:
            return _path(json.loads(old.data), json.loads(new.data)) or "order of fields"
    return None


def _path(before: Any, after: Any) -> str:
    """Return where two JSON values first differ, as `message.body.traits`; empty if nowhere."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in {**before, **after}:
            if name not in before or name not in after:
                return shown(name)
            if json.dumps(before[name]) != json.dumps(after[name]):
                return ".".join(filter(None, (shown(name), _path(before[name], after[name]))))
    return ""
