"""Find what needs an alert: problems that are new since the last search."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Protocol

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.policy import UNTIL_IT_WORKS, Policy
from activities.send_alert import AlertSender
from delivery.alert import AlertFailed, AlertsFound, AlertTarget, CurrentTarget, WatchState

# Retried forever: while Temporal or the catalog is unavailable there is nothing to find.
FIND_ALERTS = Policy(start_to_close=timedelta(minutes=1), retry=UNTIL_IT_WORKS)

# A worker without an alert target leaves the search to others, until it seems that none has one.
LEFT_TO_OTHERS = timedelta(seconds=5)
NOBODY_AFTER = timedelta(minutes=5)

log = logging.getLogger(__name__)


class AlertSearch(Protocol):
    async def find_alerts(self, known: WatchState) -> AlertsFound: ...


class FindAlerts:
    def __init__(self, search: AlertSearch, target: CurrentTarget, client: AlertSender) -> None:
        self._search = search
        self._target = target
        self._client = client

    @activity.defn(name="look")
    async def find_alerts(self, known: WatchState) -> AlertsFound:
        """Search once, then call the heartbeat URL to show that the watch is alive.

        Raises:
            ApplicationError: `NoAlertTarget`, retried. After five minutes without any worker that
                has a target, the watch ends instead.
        """
        target = await self._target()
        if target is None:
            if datetime.now(UTC) - activity.info().scheduled_time > NOBODY_AFTER:
                return AlertsFound(known=known)
            raise ApplicationError(
                "this worker has no alert target; set one: emitonce alerts set",
                type="NoAlertTarget",
                next_retry_delay=LEFT_TO_OTHERS,
                category=ApplicationErrorCategory.BENIGN,
            )
        seen = await self._search.find_alerts(known)
        await self._beat(target)
        return seen

    async def _beat(self, target: AlertTarget) -> None:
        """Call the heartbeat URL. A failure is only logged: whoever expects the call notices."""
        if target.heartbeat_url is None:
            return
        try:
            await self._client.ping(target.heartbeat_url)
        except (AlertFailed, ValueError) as err:
            log.warning("the heartbeat URL could not be reached: %s", err)
