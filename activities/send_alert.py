"""Send one alert to the operator's URL."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from pydantic import SecretStr
from temporalio import activity
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

from activities.policy import Policy
from delivery.alert import Alert, AlertFailed, AlertTarget, CurrentTarget
from delivery.errors import Unavailable, Unreadable

# Each try makes one request of at most 10 s. After a day, an alert is no longer news.
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

# A worker that can't send leaves the alert to others: it is tried again after this time.
LEFT_TO_OTHERS = timedelta(seconds=10)


class AlertSender(Protocol):
    """Sends alerts: each method makes one request.

    Both raise `AlertFailed`, or `ValueError` for a URL that is not allowed.
    """

    async def send(self, target: AlertTarget, alert: Alert, runbook: str) -> int: ...

    async def ping(self, url: SecretStr) -> int: ...


class SendAlert:
    def __init__(self, target: CurrentTarget, client: AlertSender, runbook: str) -> None:
        self._target = target
        self._client = client
        self._runbook = runbook

    @activity.defn(name="send_alert")
    async def send_alert(self, alert: Alert) -> int:
        """Try once; return the receiver's status code.

        Raises:
            ApplicationError: `AlertNotTaken`. It is retried unless the receiver has answered that
                it is gone for good.
        """
        try:
            target = await self._target()
            if target is None:
                raise _left_to_others("this worker has no alert target")
            return await self._client.send(target, alert, self._runbook)
        except AlertFailed as err:
            raise ApplicationError(
                f"the alert was not accepted: {err}",
                type="AlertNotTaken",
                non_retryable=err.permanent,
            ) from None
        except (Unavailable, Unreadable, ValueError) as err:
            raise _left_to_others(str(err)) from None


def _left_to_others(reason: str) -> ApplicationError:
    return ApplicationError(
        f"the alert was not sent: {reason}",
        type="AlertNotTaken",
        next_retry_delay=LEFT_TO_OTHERS,
    )
