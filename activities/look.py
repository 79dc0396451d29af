"""Look at what an operator should know of, and say what is new."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from temporalio import activity
from temporalio.common import RetryPolicy

from activities.policy import Policy
from delivery.alert import Known, Seen

# Temporal or the catalog may be away for as long as they like: then there is nothing to see.
LOOK = Policy(
    start_to_close=timedelta(minutes=1),
    retry=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_interval=timedelta(minutes=1),
        maximum_attempts=0,
    ),
)


class Lookout(Protocol):
    async def look(self, known: Known) -> Seen: ...


class Look:
    def __init__(self, lookout: Lookout) -> None:
        self._lookout = lookout

    @activity.defn(name="look")
    async def look(self, known: Known) -> Seen:
        return await self._lookout.look(known)
