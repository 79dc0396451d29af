"""Identify the person: the first call of a delivery. If it fails, track is never sent."""

from __future__ import annotations

from temporalio import activity
from temporalio.common import RawValue

from activities.call import CALL_POLICY, CallSender
from activities.policy import Policy
from delivery.step import Step, StepResult

IDENTIFY: Policy = CALL_POLICY


class Identify:
    """The activity `identify`. One try makes at most one writing request."""

    def __init__(self, sender: CallSender) -> None:
        self._sender = sender

    @activity.defn(name="identify")
    async def identify(self, step: Step | RawValue) -> StepResult:
        return await self._sender.send(step)
