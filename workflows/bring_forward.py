"""Bring a waiting step's next attempt forward, even if a worker dies meanwhile."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.bring_forward import BRING_FORWARD
    from activities.bring_forward import BringForward as BringForwardActivity
    from delivery.signals import WaitingStep


@workflow.defn(name="BringForward")
class BringForward:
    """Makes sure that both calls to Temporal are made: pausing the activity and resuming it."""

    @workflow.run
    async def run(self, asked: WaitingStep) -> None:
        await workflow.execute_activity_method(
            BringForwardActivity.bring_forward,
            asked,
            start_to_close_timeout=BRING_FORWARD.start_to_close,
            schedule_to_close_timeout=BRING_FORWARD.schedule_to_close,
            retry_policy=BRING_FORWARD.retry,
        )
