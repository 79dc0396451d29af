"""Which rules does an event match? The answer in history is the snapshot that is delivered by."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from temporalio import activity
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.policy import Policy
from catalog.errors import CatalogUnavailable
from delivery.capabilities import Capabilities
from delivery.rule import MatchRequest, MatchResult
from delivery.size import SIZE_LIMIT
from delivery.source import EVENT_SOURCE

# First as a local activity: a lookup takes milliseconds and needs no place in the task queue. Once
# only: a worker that stops waits for local retries, and would wait for the database with them.
MATCH_RULES_LOCALLY = Policy(
    schedule_to_close=timedelta(seconds=5), retry=RetryPolicy(maximum_attempts=1)
)

# Then, when the database is away, as an ordinary one for as long as it takes: waits grow to a
# minute, and tries of an ordinary activity leave no trace in history until one succeeds.
MATCH_RULES = Policy(
    start_to_close=timedelta(seconds=10),
    retry=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        backoff_coefficient=2.0,
        maximum_interval=timedelta(seconds=60),
        maximum_attempts=0,
    ),
)

# The server refuses payloads over 2 MiB; half of that leaves room for encryption and encoding.
LARGEST_MATCH = 1_048_576


class RuleLookup(Protocol):
    async def match(self, request: MatchRequest) -> MatchResult: ...


class MatchRules:
    """`fleet` says what every live worker knows: only that may be recorded with a run.

    `limited_since` says since when events are held to the limits of size, where that is known.
    """

    def __init__(
        self,
        lookup: RuleLookup,
        fleet: Callable[[], Capabilities],
        limited_since: Callable[[], datetime | None],
    ) -> None:
        self._lookup = lookup
        self._fleet = fleet
        self._limited_since = limited_since

    @activity.defn(name="match_rules")
    async def match_rules(self, request: MatchRequest) -> MatchResult:
        """Find the rules of one event.

        Raises:
            ApplicationError: `CatalogUnavailable` while the database is away (retried);
                `MatchTooLarge` when rules and mappings don't fit into history (permanent).
        """
        try:
            result = await self._lookup.match(request)
        except CatalogUnavailable as err:
            raise ApplicationError(
                "the catalog can't be reached",
                type="CatalogUnavailable",
                category=ApplicationErrorCategory.BENIGN,
            ) from err
        result = self._with_capabilities(result, request)
        size = len(result.model_dump_json())
        if size > LARGEST_MATCH:
            raise ApplicationError(
                f"{len(result.rules)} rules and their mappings are {size} bytes, more than the "
                f"{LARGEST_MATCH} that fit into one event's history: shorten the mappings",
                type="MatchTooLarge",
                non_retryable=True,
            )
        return result

    def _with_capabilities(self, result: MatchResult, request: MatchRequest) -> MatchResult:
        fleet = self._fleet()
        recorded = {
            "build": fleet.newest_build,
            "anonymous_only": request.source is not None and request.source.identify != "any",
        }
        features = fleet.features
        if recorded["anonymous_only"] and EVENT_SOURCE not in features:
            # Whoever doesn't know it must leave this run to a worker that does.
            features = (*features, EVENT_SOURCE)
        return result.model_copy(
            update={
                "rules": tuple(rule.model_copy(update=recorded) for rule in result.rules),
                "features": features,
                "limited_since": self._limited_since() if SIZE_LIMIT in features else None,
            }
        )
