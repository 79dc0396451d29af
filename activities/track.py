"""Track the event: the second call of a delivery, made only after identify was accepted."""

from __future__ import annotations

from temporalio import activity
from temporalio.common import RawValue

from activities.call import CALL_POLICY, CallSender
from activities.policy import Policy
from delivery.step import Step, StepResult

TRACK: Policy = CALL_POLICY


class Track:
    """The activity `track`. One try makes at most one writing request."""

    def __init__(self, sender: CallSender) -> None:
        self._sender = sender

    @activity.defn(name="track")
    async def track(self, step: Step | RawValue) -> StepResult:
        return await self._sender.send(step)
