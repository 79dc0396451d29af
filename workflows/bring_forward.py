"""A waiting step's next attempt is made now, whoever dies meanwhile."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.bring_forward import BRING_FORWARD
    from activities.bring_forward import BringForward as BringForwardActivity
    from delivery.steering import BringForward as Asked


@workflow.defn(name="BringForward")
class BringForward:
    """It takes two calls of the engine; this is the record that both have to be made."""

    @workflow.run
    async def run(self, asked: Asked) -> None:
        await workflow.execute_activity_method(
            BringForwardActivity.bring_forward,
            asked,
            start_to_close_timeout=BRING_FORWARD.start_to_close,
            schedule_to_close_timeout=BRING_FORWARD.schedule_to_close,
            retry_policy=BRING_FORWARD.retry,
        )
