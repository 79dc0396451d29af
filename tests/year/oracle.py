"""What must hold of every delivery of a simulated year, whatever it met."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from delivery.attempt import KEPT_FIRST, KEPT_LAST, UNREPORTED, Attempt, Call
from delivery.outcome import parse_retry_after
from delivery.result import DeliveryResult, Status
from tests.year.engine import Scheduling, Try
from tests.year.weather import Sent

CALLS: tuple[Call, ...] = ("identify", "track")
# No try begins after the deadline, and one lasts so long at most.
LONGEST_TRY = timedelta(seconds=30)


@dataclass(frozen=True)
class Facts:
    """One delivery from outside: what the vendor got, what the engine recorded, how it ended."""

    accepted_at: datetime
    deadline: datetime
    ended_at: datetime
    sent: list[Sent]
    schedulings: list[Scheduling]
    result: DeliveryResult
    deleted: bool
    skewed: bool
    """The workers' clocks were wrong, so a date in `Retry-After` means nothing to them."""

    def of(self, call: str) -> list[Sent]:
        return [sent for sent in self.sent if sent.call == call]

    def tries(self, call: str) -> list[Try]:
        return [one for made in self.of_engine(call) for one in made.tries]

    def of_engine(self, call: str) -> list[Scheduling]:
        return [made for made in self.schedulings if made.step.message.call == call]


def faults(facts: Facts) -> list[str]:
    """What is wrong, each with the invariant it breaks; empty when nothing is."""
    found = (_i1, _i2, _i3, _i4, _i5, _pace)
    return [fault for check in found for fault in check(facts)]


def accepted(sent: Sent) -> bool:
    return sent.answer is not None and 200 <= sent.answer < 300


def permanent(status: int | None) -> bool:
    return status is not None and 300 <= status < 500 and status not in (401, 403, 408, 429)


def _i1(facts: Facts) -> Iterator[str]:
    """One visible end, for a reason, in time."""
    status = facts.result.status
    if status not in (Status.COMPLETED, Status.FAILED):
        yield f"I1: ended as {status}"
    delivered = all(any(map(accepted, facts.of(call))) for call in CALLS)
    if status is Status.COMPLETED and not delivered:
        yield "I1: completed, but the vendor has not accepted both calls"
    if facts.ended_at > facts.deadline + LONGEST_TRY:
        yield "I1: ended after its deadline"
    if status is Status.FAILED and not facts.deleted:
        refused = any(permanent(sent.answer) for sent in facts.sent)
        unbuilt = not facts.schedulings and (facts.result.error or "").startswith("mapping_error")
        late = facts.ended_at >= facts.deadline - timedelta(hours=1, minutes=1)
        if not (refused or unbuilt or late):
            yield "I1: given up without a refusal and before the deadline"


def _i2(facts: Facts) -> Iterator[str]:
    """Identify was accepted before any track."""
    identified = False
    for sent in facts.sent:
        if sent.call == "track" and not identified:
            yield "I2: track was sent before identify was accepted"
            return
        identified = identified or (sent.call == "identify" and accepted(sent))


def _i3(facts: Facts) -> Iterator[str]:
    """No track where identify failed: nothing but success ends the first step before the second."""
    tries = facts.tries("identify")
    if facts.of("track") and (not tries or tries[-1].ended is not None):
        yield "I3: track was sent although identify had failed"


def _i4(facts: Facts) -> Iterator[str]:
    """The same bytes and the same messageId on every attempt."""
    ids = set()
    for call in CALLS:
        bodies = {sent.raw for sent in facts.of(call)}
        if len(bodies) > 1:
            yield f"I4: {call} was sent with {len(bodies)} different bodies"
        ids |= {(call, json.loads(body)["messageId"]) for body in bodies}
    if len({id for _, id in ids}) < len({call for call, _ in ids}):
        yield "I4: identify and track share one messageId"


def _i5(facts: Facts) -> Iterator[str]:
    """The log agrees with the vendor's own, save what was in flight when the end came."""
    for call in CALLS:
        made = facts.of_engine(call)
        if not made:
            continue
        expected = [
            one
            for number, scheduling in enumerate(made)
            for place, one in enumerate(scheduling.tries)
            # Nobody came after the last lost try of an activity to notice that it was lost.
            if one.made and not (one.ended == "lost" and _unnoticed(scheduling, place))
        ]
        logged = made[-1].attempts
        if logged.count != len(expected):
            yield f"I5: {call} has {logged.count} attempts on record, {len(expected)} were made"
            continue
        kept = (
            expected
            if len(expected) <= KEPT_FIRST + KEPT_LAST
            else (expected[:KEPT_FIRST] + expected[-KEPT_LAST:])
        )
        numbers = [attempt.number for attempt in logged.kept]
        if numbers != sorted(set(numbers)) or len(numbers) != len(kept):
            yield f"I5: {call}'s attempts are numbered {numbers}"
        elif not all(map(_agree, kept, logged.kept)):
            yield f"I5: {call}'s attempts say something else than the vendor"
        short = getattr(facts.result, call)
        if (short.attempt_count if short else 0) != logged.count:
            yield f"I5: the result's count of {call} differs from the log's"


def _unnoticed(scheduling: Scheduling, place: int) -> bool:
    return all(one.ended == "lost" for one in scheduling.tries[place:])


def _agree(one: Try, attempt: Attempt) -> bool:
    if one.ended == "lost":
        return attempt.message == UNREPORTED
    return attempt.status_code == one.status


def _pace(facts: Facts) -> Iterator[str]:
    """`Retry-After` is never undercut, and no request is made for a connection that is held."""
    for call in CALLS:
        sent = facts.of(call)
        for earlier, later in pairwise(sent):
            asked = parse_retry_after(earlier.retry_after, earlier.at)
            if facts.skewed and earlier.dated:
                continue
            if asked is not None and later.at - earlier.at < asked - timedelta(seconds=1):
                yield f"pace: {call} came again before its Retry-After"
    if any(sent.held for sent in facts.sent):
        yield "pace: a request was made although the connection was held"
