"""Look at what an operator should know of, and say what is new."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Protocol

from temporalio import activity
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.policy import Policy
from catalog.alert_targets import AlertTarget, CurrentTarget
from delivery.alert import Known, Seen
from destinations.webhook.alerts import AlertClient, AlertFailed

# Temporal or the catalog may be unavailable for as long as they like: then there is nothing to see.
LOOK = Policy(
    start_to_close=timedelta(minutes=1),
    retry=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_interval=timedelta(minutes=1),
        maximum_attempts=0,
    ),
)

# A worker without a target leaves a look to the others: soon, and as long as there may be one.
LEFT_TO_OTHERS = timedelta(seconds=5)
NOBODY_AFTER = timedelta(minutes=5)

log = logging.getLogger(__name__)


class Lookout(Protocol):
    async def look(self, known: Known) -> Seen: ...


class Look:
    def __init__(self, lookout: Lookout, target: CurrentTarget, client: AlertClient) -> None:
        self._lookout = lookout
        self._target = target
        self._client = client

    @activity.defn(name="look")
    async def look(self, known: Known) -> Seen:
        """Look once, and say by the heartbeat that somebody looks.

        Raises:
            ApplicationError: `NoAlertTarget`, retried. After five minutes in which no worker had a
                target, nobody wants alerts, and the watch ends.
        """
        target = await self._target()
        if target is None:
            if datetime.now(UTC) - activity.info().scheduled_time > NOBODY_AFTER:
                return Seen(known=known)
            raise ApplicationError(
                "this worker has no alert target: see `emitonce alerts set`",
                type="NoAlertTarget",
                next_retry_delay=LEFT_TO_OTHERS,
                category=ApplicationErrorCategory.BENIGN,
            )
        seen = await self._lookout.look(known)
        await self._beat(target)
        return seen

    async def _beat(self, target: AlertTarget) -> None:
        """A heartbeat that fails doesn't undo the look; who waits for it raises the alarm."""
        if target.heartbeat_url is None:
            return
        try:
            await self._client.ping(target.heartbeat_url)
        except (AlertFailed, ValueError) as err:
            log.warning("the heartbeat's URL was not reached: %s", err)
