"""Send one alert durably. An alert that can't be sent raises no further alert."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.send_alert import SEND_ALERT
    from activities.send_alert import SendAlert as SendAlertActivity
    from delivery.alert import Alert


@workflow.defn(name="SendAlert")
class SendAlert:
    """Sends one alert. The workflow id contains the alert's, so that each is sent only once."""

    @workflow.run
    async def run(self, alert: Alert) -> int:
        return await workflow.execute_activity_method(
            SendAlertActivity.send_alert,
            alert,
            start_to_close_timeout=SEND_ALERT.start_to_close,
            schedule_to_close_timeout=SEND_ALERT.schedule_to_close,
            retry_policy=SEND_ALERT.retry,
            summary=alert.type,
        )
