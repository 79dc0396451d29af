"""Find the rules that an event matches. The recorded result is the snapshot for its delivery."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Protocol

from temporalio import activity
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.policy import UNTIL_IT_WORKS, Policy
from delivery.capabilities import Capabilities
from delivery.errors import Unavailable
from delivery.people import PEOPLE, identifiers
from delivery.reason import REASON
from delivery.rule import MatchRequest, MatchResult
from delivery.size import SIZE_LIMIT
from delivery.source import EVENT_SOURCE

# First as a local activity: a lookup takes milliseconds and needs no task of its own. Only once: a
# stopping worker waits for local retries, so it would wait for the database too.
MATCH_RULES_LOCALLY = Policy(
    schedule_to_close=timedelta(seconds=5), retry=RetryPolicy(maximum_attempts=1)
)

# Then, if the database is unavailable, as an ordinary activity, whose tries add nothing to the
# history until one succeeds.
MATCH_RULES = Policy(start_to_close=timedelta(seconds=10), retry=UNTIL_IT_WORKS)

# The server refuses payloads over 2 MiB; half of that leaves room for encryption and encoding.
LARGEST_MATCH = 1_048_576


class RuleLookup(Protocol):
    async def match(self, request: MatchRequest) -> MatchResult: ...

    def hash_person(self, workspace: str, identifier: str) -> str: ...


class MatchRules:
    """The activity `match_rules`.

    `fleet` returns what every live worker knows: nothing else may be recorded with a run.
    `limited_since` returns when the limits of size came into force, if that is known, and `in_use`
    the features that no worker can lack anymore.
    """

    def __init__(
        self,
        lookup: RuleLookup,
        fleet: Callable[[], Capabilities],
        limited_since: Callable[[], datetime | None],
        in_use: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._lookup = lookup
        self._fleet = fleet
        self._limited_since = limited_since
        self._in_use = in_use

    @activity.defn(name="match_rules")
    async def match_rules(self, request: MatchRequest) -> MatchResult:
        """Find the rules of one event.

        Raises:
            ApplicationError: `CatalogUnavailable` while the database is unavailable (retried);
                `MatchTooLarge` if rules and mappings don't fit into history (permanent).
        """
        try:
            result = await self._lookup.match(request)
        except Unavailable as err:
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
            # A worker that doesn't know this feature must leave the run to one that does.
            features = (*features, EVENT_SOURCE)
        # Also while the fleet can't be asked.
        kept = [one for one in (PEOPLE, REASON) if one in self._in_use() and one not in features]
        features = (*features, *kept)
        return result.model_copy(
            update={
                "rules": tuple(rule.model_copy(update=recorded) for rule in result.rules),
                "features": features,
                "limited_since": self._limited_since() if SIZE_LIMIT in features else None,
                "people": self._people(result, request) if PEOPLE in features else None,
            }
        )

    def _people(self, result: MatchResult, request: MatchRequest) -> tuple[str, ...] | None:
        if request.payload is None:
            return None
        found = identifiers(request.payload, result.rules)
        hash_person = self._lookup.hash_person
        return tuple(dict.fromkeys(hash_person(request.workspace, text) for _, text in found))
