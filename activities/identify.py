"""Identify the person: the first call of a delivery. If it fails, track is never sent."""

from __future__ import annotations

from temporalio import activity
from temporalio.common import RawValue

from activities.policy import Policy
from activities.send import SEND_POLICY, Sender
from delivery.step import Step, StepResult

IDENTIFY: Policy = SEND_POLICY


class Identify:
    """The activity `identify`; one try is one HTTP request."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    @activity.defn(name="identify")
    async def identify(self, step: Step | RawValue) -> StepResult:
        return await self._sender.send(step)
