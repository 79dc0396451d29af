"""Track the event: the second call of a delivery, made only after identify was accepted."""

from __future__ import annotations

from temporalio import activity
from temporalio.common import RawValue

from activities.policy import Policy
from activities.send import SEND_POLICY, Sender
from delivery.step import Step, StepResult

TRACK: Policy = SEND_POLICY


class Track:
    """The activity `track`; one try is one HTTP request."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    @activity.defn(name="track")
    async def track(self, step: Step | RawValue) -> StepResult:
        return await self._sender.send(step)
