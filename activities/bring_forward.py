"""Make the next attempt of a waiting step now."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from temporalio import activity

from activities.policy import UNTIL_IT_WORKS, Policy
from delivery.outcome import DELIVERY_DEADLINE
from delivery.signals import WaitingStep

# A few calls to Temporal. If a worker dies between pausing and resuming, the step stays paused
# until the next try, so this is retried for as long as there can be something to bring forward.
BRING_FORWARD = Policy(
    start_to_close=timedelta(seconds=10),
    schedule_to_close=DELIVERY_DEADLINE,
    retry=UNTIL_IT_WORKS,
)


class NextAttempts(Protocol):
    async def bring_forward(self, asked: WaitingStep) -> None: ...


class BringForward:
    def __init__(self, next_attempts: NextAttempts) -> None:
        self._next_attempts = next_attempts

    @activity.defn(name="bring_forward")
    async def bring_forward(self, asked: WaitingStep) -> None:
        await self._next_attempts.bring_forward(asked)
