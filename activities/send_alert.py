"""Send one alert to the operator's URL."""

from __future__ import annotations

from datetime import timedelta

from temporalio import activity
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

from activities.policy import Policy
from delivery.alert import Alert
from destinations.webhook import Webhook, WebhookFailed

# One request of at most 10 s a try. After a day an alert is news no more.
SEND_ALERT = Policy(
    start_to_close=timedelta(seconds=30),
    schedule_to_close=timedelta(days=1),
    retry=RetryPolicy(
        initial_interval=timedelta(seconds=5),
        backoff_coefficient=2.0,
        maximum_interval=timedelta(minutes=30),
        maximum_attempts=0,
    ),
)


class SendAlert:
    """`webhook` is None where no URL is set."""

    def __init__(self, webhook: Webhook | None) -> None:
        self._webhook = webhook

    @activity.defn(name="send_alert")
    async def send_alert(self, alert: Alert) -> int:
        """Try once; returns the status.

        Raises:
            ApplicationError: `AlertNotTaken`, retried unless the receiver is gone for good or no
                URL is set.
        """
        if self._webhook is None:
            raise _not_taken("no EMITONCE_ALERT_URL is set", permanent=True)
        try:
            return await self._webhook.send(f"msg_{alert.id}", alert.encode())
        except WebhookFailed as err:
            raise _not_taken(str(err), permanent=err.permanent) from None


def _not_taken(reason: str, *, permanent: bool) -> ApplicationError:
    return ApplicationError(
        f"the alert was not taken: {reason}", type="AlertNotTaken", non_retryable=permanent
    )
