"""The kinds of events that are under way: one connection each, with a trouble of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from random import Random

from delivery.delivery_log import DeliveryLog
from delivery.outcome import OutcomeCode
from delivery.result import Status
from destinations.customerio.simulator import Fault
from eventlog.log import EventLog

# Nine of ten are refused, and come back after so many seconds.
RETRY_SECONDS = 15
REFUSED_TIMES = [number for number in range(1, 20_001) if number % 10]


class Kind(StrEnum):
    """The event's name. What becomes of it while its trouble lasts:"""

    STEADY = "steady"
    """delivered at once"""
    RETRYING = "retrying"
    """identify answered with 503, nine times of ten"""
    BETWEEN = "between"
    """identified, and track answered with 503, nine times of ten"""
    HELD = "held"
    """its connection is paused"""
    LOCKED = "locked"
    """held since its key was refused, until the key is replaced"""
    FAILING = "failing"
    """identify answered with 400: failed, and redelivered"""

    @property
    def fault(self) -> tuple[str, Fault] | None:
        """Call and answer; None where nothing is wrong with the vendor."""
        away = Fault(status=503, headers={"Retry-After": str(RETRY_SECONDS)})
        return {
            Kind.RETRYING: ("identify", away),
            Kind.BETWEEN: ("track", away),
            Kind.FAILING: ("identify", Fault(status=400)),
        }.get(self)


# Of sixty events. Those that must be there when the trouble starts come first.
_OF_SIXTY = {
    Kind.LOCKED: 6,
    Kind.FAILING: 6,
    Kind.RETRYING: 14,
    Kind.BETWEEN: 14,
    Kind.HELD: 8,
    Kind.STEADY: 12,
}


def batch(size: int, random: Random) -> list[Kind]:
    """At least one of each."""
    counts = {kind: max(1, round(size * share / 60)) for kind, share in _OF_SIXTY.items()}
    first = [kind for kind in (Kind.LOCKED, Kind.FAILING) for _ in range(counts.pop(kind))]
    then = [kind for kind, count in counts.items() for _ in range(count)]
    random.shuffle(then)
    return first + then


def count_by_state(logs: Iterable[EventLog]) -> dict[str, int]:
    """How many events stand where; every one has one delivery."""
    return dict(sorted(Counter(map(_state, logs)).items()))


def _state(log: EventLog) -> str:
    if log.completed_at is not None or not log.deliveries:
        return str(log.status) if log.completed_at else "not yet matched"
    delivery = log.deliveries[0]
    if delivery.held is not None:
        return "held"
    if _identified(delivery):
        return "between the steps"
    return "retrying" if delivery.status is Status.RETRYING else "under way"


def _identified(delivery: DeliveryLog) -> bool:
    return delivery.identify is not None and (
        delivery.identify.outcome_code is OutcomeCode.DELIVERED
    )
