"""Send one message to a destination without people."""

from __future__ import annotations

from temporalio import activity
from temporalio.common import RawValue

from activities.call import CALL_POLICY, CallSender
from activities.policy import Policy
from delivery.step import Step, StepResult

SEND: Policy = CALL_POLICY


class Send:
    """The activity `send`. One try makes at most one writing request."""

    def __init__(self, sender: CallSender) -> None:
        self._sender = sender

    @activity.defn(name="send")
    async def send(self, step: Step | RawValue) -> StepResult:
        return await self._sender.send(step)
