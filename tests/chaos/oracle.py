"""What must hold of every event after a run, whatever was killed, stopped or answered meanwhile.

It knows nothing of the faults: it is handed what callers were told, what the delivery logs say,
what the vendor received and what the processes left behind, and names each invariant broken.

    I1  every accepted event ended in exactly one visible state, delivered once; none is extra
    I2  identify was answered with 2xx before any track of that delivery
    I3  no track where identify failed
    I4  one messageId and identical bytes for each call over all its attempts
    I5  the attempt log agrees with the vendor's, save what was in flight at a kill
    I6  one event for each idempotency key
    I7  planted secrets stand in no output
    I8  no workflow task failed, and no workflow is left open
    I9  healthy connections deliver in bounded time while another is dead
    I10 every destination has an event; repeated only where its vendor drops no repetitions, and no
        more often than answers were lost
    I11 no request is made for a connection while it is held
"""

from __future__ import annotations

import base64
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from delivery.attempt import Attempt
from delivery.delivery_log import CallLog, DeliveryLog
from delivery.result import Status
from eventlog.log import EventLog
from tests.chaos.latency import p95

FIRST = "customer_io"
CALLS = ("identify", "track", "send")
READ = "read"  # what is read before a call writes
DROPS_REPETITIONS = (FIRST, "webhook", "hubspot", "intercom")
ENDS = (Status.COMPLETED, Status.FAILED, Status.CANCELED)
HEALTHY_P95_SECONDS = 30.0


@dataclass(frozen=True)
class Emitted:
    """One event as its caller knows it. `ids`: what the API answered, once or several times.

    `person` is its user id, of nobody else. Empty `ids`: the API never said that it was accepted.
    """

    person: str
    key: str
    ids: tuple[str, ...]
    expected: Status = Status.COMPLETED
    healthy: bool = False
    """Of a connection whose deliveries must not wait for another one's."""
    redelivered: bool = False
    """Perhaps delivered again, by further runs under its id."""
    destinations: int = 1
    """To how many connections it goes."""


@dataclass(frozen=True)
class Received:
    """A request as the vendor's own log has it; `status` is None where it gave no plain answer.

    `call` is ours, and `name` the vendor's own for it; `type` is the destination's.
    """

    call: str
    person: str
    raw: bytes
    at: float
    answered: float | None
    status: int | None
    stored: bool
    type: str = FIRST
    name: str = ""

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Received:
        body = entry["body"] if isinstance(entry["body"], dict) else {}
        return cls(
            call=entry["path"].rpartition("/")[2],
            person=str(body.get("userId")),
            raw=base64.b64decode(entry["raw_base64"]),
            at=entry["received"],
            answered=entry["answered"],
            status=entry["status"],
            stored=entry["stored"],
        )

    @property
    def message_id(self) -> str:
        return str(json.loads(self.raw).get("messageId"))

    @property
    def accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True)
class Held:
    """When a connection was held and nothing of it was on its way, in seconds of the requests'."""

    type: str
    since: float
    until: float


@dataclass(frozen=True)
class Facts:
    """A run from outside. `runs`: every run that lists show, by event id, one entry for each.

    `stored`: people of the events that Customer.io has stored. `leaks`: where planted secrets were
    found. `took`: seconds from acceptance to the track call's answer, of healthy connections.
    """

    emitted: Sequence[Emitted]
    logs: Mapping[str, EventLog]
    runs: Sequence[str]
    received: Sequence[Received]
    stored: Sequence[str]
    open_runs: int = 0
    failed_tasks: Mapping[str, int] = field(default_factory=dict)
    leaks: Sequence[str] = ()
    took: Sequence[float] = ()
    held: Sequence[Held] = ()


@dataclass(frozen=True)
class Fault:
    invariant: str
    what: str
    event: str | None = None

    def __str__(self) -> str:
        return f"{self.invariant}: {self.what}" + (f" (event {self.event})" if self.event else "")


def check(facts: Facts) -> list[Fault]:
    """Every invariant broken; empty when all hold."""
    checks = (_i1, _i2, _i3, _i4, _i5, _i6, _i7, _i8, _i9, _i10, _i11)
    return [fault for one in checks for fault in one(facts)]


def _i1(facts: Facts) -> Iterator[Fault]:
    runs, stored = Counter(facts.runs), Counter(facts.stored)
    for one in facts.emitted:
        for id in dict.fromkeys(one.ids):
            log = facts.logs.get(id)
            if log is None:
                yield Fault("I1", "accepted, but nothing is known of it", id)
            elif log.status not in ENDS or any(d.status not in ENDS for d in log.deliveries):
                yield Fault("I1", f"left as {log.status}", id)
            elif log.status is not one.expected:
                yield Fault("I1", f"ended as {log.status}, expected {one.expected}", id)
            if runs[id] < 1 or (runs[id] > 1 and not one.redelivered):
                yield Fault("I1", f"lists show {runs[id]} runs of it", id)
        wanted = 1 if one.expected is Status.COMPLETED else 0
        # What was never said to be accepted may have been accepted all the same.
        if stored[one.person] != wanted and (one.ids or stored[one.person] > 1):
            yield Fault("I1", f"the vendor stored {stored[one.person]} events of {one.person}")
    asked_for = {id for one in facts.emitted for id in one.ids}
    unknown = sum(not one.ids for one in facts.emitted)
    extra = set(runs) - asked_for
    if len(extra) > unknown:
        yield Fault("I1", f"{len(extra)} runs that nobody asked for, e.g. {sorted(extra)[0]}")
    people = {one.person for one in facts.emitted}
    for stranger in sorted(set(stored) - people):
        yield Fault("I1", f"the vendor stored an event of {stranger}, which nobody emitted")


def _by_person(received: Iterable[Received]) -> Mapping[tuple[str, str], list[Received]]:
    """By type and person."""
    found = defaultdict(list)
    for request in sorted(received, key=lambda one: one.at):
        found[request.type, request.person].append(request)
    return found


def _deliveries(facts: Facts) -> Iterator[tuple[Emitted, str, DeliveryLog]]:
    """Every delivery of an accepted event, with its type."""
    for one in facts.emitted:
        for id in one.ids[:1]:
            log = facts.logs.get(id)
            for delivery in log.deliveries if log else ():
                yield one, delivery.integration_type or FIRST, delivery


def _i2(facts: Facts) -> Iterator[Fault]:
    for (_, person), requests in _by_person(facts.received).items():
        accepted_at = min(
            (r.answered for r in requests if r.call == "identify" and r.accepted and r.answered),
            default=None,
        )
        for track in (r for r in requests if r.call == "track"):
            if accepted_at is None or track.at < accepted_at:
                yield Fault("I2", f"track of {person} came before identify was accepted")
                break


def _i3(facts: Facts) -> Iterator[Fault]:
    requests = _by_person(facts.received)
    for one, type, delivery in _deliveries(facts):
        identified = delivery.identify
        succeeded = identified is not None and identified.outcome_code == "delivered"
        tracked = any(r.call == "track" for r in requests.get((type, one.person), ()))
        if (tracked or delivery.track is not None) and not succeeded:
            yield Fault("I3", "track was sent although identify had failed", one.ids[0])


def _i4(facts: Facts) -> Iterator[Fault]:
    for (type, person), requests in _by_person(facts.received).items():
        for name in {(r.call, r.name) for r in requests}:
            bodies = {r.raw for r in requests if (r.call, r.name) == name}
            if len(bodies) > 1:
                yield Fault("I4", f"{name} of {person} came with {len(bodies)} different bodies")
        if type != FIRST:
            continue
        ids = {}
        for call in ("identify", "track"):
            ids[call] = {r.message_id for r in requests if r.call == call}
            if len(ids[call]) > 1:
                yield Fault("I4", f"{call} of {person} came with {len(ids[call])} messageIds")
        if ids["identify"] & ids["track"]:
            yield Fault("I4", f"identify and track of {person} share a messageId")


def _i5(facts: Facts) -> Iterator[Fault]:
    requests = _by_person(facts.received)
    for one, type, delivery in _deliveries(facts):
        own = requests.get((type, one.person), ())
        reads = [r for r in own if r.call == READ]
        for call in CALLS:
            made = [r for r in own if r.call == call]
            for what in _disagreement(delivery.call(call), made, reads):
                yield Fault("I5", f"{type} {call}: {what}", one.ids[0])


def _disagreement(
    logged: CallLog | None, made: Sequence[Received], reads: Sequence[Received]
) -> Iterator[str]:
    if logged is None:
        if made:
            yield f"no attempt on record, the vendor got {len(made)} requests"
        return
    if len(made) > logged.attempt_count:
        yield f"{logged.attempt_count} attempts on record, the vendor got {len(made)} requests"
    numbers = [attempt.number for attempt in logged.attempts]
    if numbers != sorted(set(numbers)) or (numbers and numbers[-1] != logged.attempt_count):
        yield f"attempts are numbered {numbers}"
    if logged.attempts_left_out:
        return
    said = Counter(a.status_code for a in logged.attempts if a.status_code is not None)
    answered = Counter(r.status for r in made if r.status is not None)
    plain = sum(r.status is None for r in made)
    unanswered = sum(map(_without_answer, logged.attempts))
    invented = (said - answered - Counter(r.status for r in reads)).total()
    if invented > plain:  # an answer in raw bytes has a status that the vendor's log doesn't
        yield f"{invented} answers on record that the vendor never gave"
    if (answered - said).total() > unanswered:
        yield f"the vendor answered {sorted(answered.elements())}, on record are {sorted(said)}"


def _without_answer(attempt: Attempt) -> bool:
    """Its worker was lost, it timed out or broke off: the vendor may have answered all the same."""
    return attempt.status_code is None


def _i6(facts: Facts) -> Iterator[Fault]:
    ids, keys = defaultdict(set), defaultdict(set)
    for one in facts.emitted:
        for id in one.ids:
            ids[one.key].add(id)
            keys[id].add(one.key)
    for key, found in ids.items():
        if len(found) > 1:
            yield Fault("I6", f"{len(found)} events of one idempotency key: {sorted(found)}, {key}")
    for id, found in keys.items():
        if len(found) > 1:
            yield Fault("I6", f"one event for {len(found)} idempotency keys", id)


def _i7(facts: Facts) -> Iterator[Fault]:
    for place in facts.leaks:
        yield Fault("I7", f"a planted secret stands in {place}")


def _i8(facts: Facts) -> Iterator[Fault]:
    if facts.open_runs:
        yield Fault("I8", f"{facts.open_runs} workflows are still open")
    for id, count in facts.failed_tasks.items():
        yield Fault("I8", f"{count} workflow tasks failed", id)


def _i9(facts: Facts) -> Iterator[Fault]:
    healthy = {one.person for one in facts.emitted if one.healthy}
    if healthy and len(facts.took) < len(healthy):
        yield Fault("I9", f"{len(facts.took)} of {len(healthy)} healthy deliveries were made")
    if facts.took and p95(facts.took) > HEALTHY_P95_SECONDS:
        yield Fault("I9", f"p95 of healthy connections is {p95(facts.took):.1f} s")


def _i10(facts: Facts) -> Iterator[Fault]:
    for one in facts.emitted:
        log = facts.logs.get(one.ids[0]) if one.ids else None
        if log is not None and len(log.deliveries) != one.destinations:
            what = f"{len(log.deliveries)} deliveries, expected {one.destinations}"
            yield Fault("I10", what, one.ids[0])
    requests = _by_person(facts.received)
    for one, type, delivery in _deliveries(facts):
        if type == FIRST or one.expected is not Status.COMPLETED:
            continue  # it is I1's
        last = delivery.calls[-1]
        times = sum(r.stored and r.call == last.call for r in requests.get((type, one.person), ()))
        lost = sum(map(_without_answer, last.attempts))
        if not 1 <= times <= 1 + (0 if type in DROPS_REPETITIONS else lost):
            what = f"{type} has stored it {times} times, with {lost} answers lost"
            yield Fault("I10", what, one.ids[0])


def _i11(facts: Facts) -> Iterator[Fault]:
    for held in facts.held:
        made = [
            r for r in facts.received if r.type == held.type and held.since <= r.at < held.until
        ]
        if made:
            yield Fault("I11", f"{len(made)} requests to {held.type} while it was held")
