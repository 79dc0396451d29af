"""Search for problems at intervals, and send an alert for each new one."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.common import VersioningBehavior, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from activities.find_alerts import FIND_ALERTS, FindAlerts
    from delivery.alert import Alert, WatchState
    from workflows.send_alert import SendAlert

LONGEST_HISTORY = 1_000


@workflow.defn(name="WatchDeliveries")
class WatchDeliveries:
    """Watches one task queue. It reads only lists and the catalog, so it never slows deliveries."""

    @workflow.run
    async def run(self, known: WatchState) -> None:
        while workflow.info().get_current_history_length() < LONGEST_HISTORY:
            seen = await workflow.execute_activity_method(
                FindAlerts.find_alerts,
                known,
                start_to_close_timeout=FIND_ALERTS.start_to_close,
                retry_policy=FIND_ALERTS.retry,
            )
            for alert in seen.alerts:
                await _send(alert)
            if seen.look_again is None:
                return
            known = seen.known
            await workflow.sleep(timedelta(seconds=seen.look_again))
        workflow.continue_as_new(known)


# A watch never ends: if it were pinned to a build, that build could never be retired. The server
# accepts a versioning behavior only from versioned workers, so those have their own definition.
@workflow.defn(name="WatchDeliveries", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class WatchDeliveriesOnAnyBuild(WatchDeliveries):
    """The same workflow for workers that name a deployment."""

    @workflow.run
    async def run(self, known: WatchState) -> None:
        await super().run(known)


async def _send(alert: Alert) -> None:
    """Start sending an alert, without waiting for the end."""
    with suppress(WorkflowAlreadyStartedError):
        await workflow.start_child_workflow(
            SendAlert.run,
            alert,
            id=f"alert-{alert.id}",
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            static_summary=alert.type,
        )
