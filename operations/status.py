"""Judge whether deliveries are healthy: is it us or them, since when, what waits, and what to do.

The command, the API, the console's banner and the doctor all say what `judge` says. It is pure: it
decides from facts that `operations.status_reader` has read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import AwareDatetime, Field

from catalog.traffic import Traffic, Waiting
from catalog.workers import LiveWorkers
from delivery.alert import LastResponse
from delivery.frozen_model import FrozenModel
from delivery.outcome import DELIVERY_DEADLINE, REFUSALS, OutcomeCode
from delivery.timestamps import iso_milliseconds
from destinations.registry import BY_TYPE

State = Literal["ok", "degraded", "stuck"]
ConnectionState = Literal["ok", "behind", "failing", "paused", "inactive"]
# Each has a section in docs/runbook.md.
Symptom = Literal["temporal", "postgresql", "no worker", "behind", "failing", "paused", "inactive"]

# An event that waits for longer, though its connection delivers, shows that it falls behind.
BEHIND_AFTER = timedelta(minutes=1)

NAMED = 3

# Outcomes by which the vendor, or the way to it, keeps a connection from delivering.
_THEIRS = (
    OutcomeCode.REJECTED_SERVER_ERROR,
    OutcomeCode.TIMEOUT,
    OutcomeCode.NETWORK_ERROR,
    OutcomeCode.RATE_LIMITED,
)


@dataclass(frozen=True)
class Facts:
    """What is known now. None means that whoever knows it doesn't answer.

    `traffic` and `workers` are the catalog's, `waiting` is Temporal's.
    """

    now: datetime
    traffic: Sequence[Traffic] | None
    workers: LiveWorkers | None
    waiting: Waiting | None
    database_lost_at: datetime | None = None
    temporal_lost_at: datetime | None = None


class ConnectionHealth(FrozenModel):
    """One connection: `waiting` events, the `oldest` of them started then."""

    id: str
    name: str
    state: ConnectionState
    waiting: int
    oldest: AwareDatetime | None
    last_success: AwareDatetime | None
    last_error: str | None


class Problem(FrozenModel):
    """What is wrong, whose part it is, and what to do. `symptom` is its section in the runbook."""

    symptom: Symptom
    whose: Literal["us", "them"]
    stuck: bool
    since: AwareDatetime | None
    said: str
    remedy: str

    @property
    def summary(self) -> str:
        """What is wrong, and since when."""
        return f"{self.said}, since {clock_time(self.since)}" if self.since else self.said


class Status(FrozenModel):
    """How deliveries stand. Unless it changes, the first waiting event is lost at `lost_at`."""

    state: State
    since: AwareDatetime | None
    connections: tuple[ConnectionHealth, ...]
    workers: int | None
    lost_at: AwareDatetime | None
    advice: str
    problems: tuple[Problem, ...] = Field((), exclude=True)
    waiting: int | None = Field(None, exclude=True)

    def encode(self) -> dict[str, object]:
        """Return the JSON object that the command and the API show."""
        shown = self.model_dump()
        shown["connections"] = [_with_times(dict(one)) for one in shown["connections"]]
        return _with_times(shown)


def judge(facts: Facts) -> Status:
    """Judge by the worst that is found; the part that stops most comes first."""
    traffic = facts.traffic or ()
    states = {one.connection.id: _state(one, facts.now) for one in traffic}
    problems = [*_of_parts(facts), *_of_connections(traffic, states)]
    if not problems and facts.waiting is not None and _is_behind(facts.waiting, facts.now):
        problems.append(
            Problem(
                symptom="behind",
                whose="us",
                stuck=False,
                since=facts.waiting.oldest,
                said=f"{_events(facts.waiting.count)} waited for a worker",
                remedy="Check the workers' logs and load; add workers.",
            )
        )
    problems.sort(key=lambda problem: not problem.stuck)
    state: State = "ok"
    if problems:
        state = "stuck" if problems[0].stuck else "degraded"
    worst = [problem for problem in problems if problem.stuck == problems[0].stuck]
    lost_at = _lost_at(facts, traffic) if problems else None
    waiting = _waiting(facts, traffic)
    return Status(
        state=state,
        since=min((problem.since for problem in worst if problem.since), default=None),
        connections=tuple(_connection(one, states[one.connection.id]) for one in traffic),
        workers=facts.workers.count if facts.workers else None,
        lost_at=lost_at,
        advice=_advice(problems, waiting, lost_at, facts.now),
        problems=tuple(problems),
        waiting=waiting,
    )


def _state(one: Traffic, now: datetime) -> ConnectionState:
    if one.connection.status != "active":
        return one.connection.status
    if one.failing_since is not None:
        return "failing"
    return "behind" if _is_behind(one.waiting, now) else "ok"


def _is_behind(waiting: Waiting, now: datetime) -> bool:
    return waiting.oldest is not None and now - waiting.oldest > BEHIND_AFTER


def _of_parts(facts: Facts) -> Iterable[Problem]:
    if facts.waiting is None:
        yield Problem(
            symptom="temporal",
            whose="us",
            stuck=True,
            since=facts.temporal_lost_at,
            said="Temporal doesn't answer: no event is accepted and none is delivered",
            remedy="Start the Temporal server, or restore the connection to it. Accepted events "
            "continue by themselves; senders have to send the rest again.",
        )
    if facts.traffic is None or facts.workers is None:
        yield Problem(
            symptom="postgresql",
            whose="us",
            stuck=True,
            since=facts.database_lost_at,
            said="PostgreSQL doesn't answer: nothing is delivered, and after a while no event is "
            "accepted",
            remedy="Start PostgreSQL, or restore the connection to it. Deliveries then continue by "
            "themselves.",
        )
    elif not facts.workers.count:
        yield Problem(
            symptom="no worker",
            whose="us",
            stuck=bool(facts.waiting is None or facts.waiting.count),
            since=facts.workers.last_seen,
            said="No worker is running: events are accepted, but none is delivered",
            remedy="Start a worker: emitonce worker.",
        )


def _of_connections(
    traffic: Sequence[Traffic], states: dict[str, ConnectionState]
) -> Iterable[Problem]:
    """Report connections in the same state for the same reason together."""
    alike: defaultdict[tuple[object, ...], list[Traffic]] = defaultdict(list)
    for one in traffic:
        state, connection = states[one.connection.id], one.connection
        if state == "ok" or (state == "paused" and not one.waiting.count):
            continue
        error = one.last_error if state in ("failing", "behind") else None
        why = (error.outcome_code, error.status_code) if error else (connection.inactive_reason,)
        alike[(state, connection.type, why, one.waiting.count > 0)].append(one)
    for several in sorted(alike.values(), key=lambda found: -len(found)):
        if (state := states[several[0].connection.id]) != "ok":
            yield _problem(state, several)


def _problem(state: Symptom, several: Sequence[Traffic]) -> Problem:
    first, waits = several[0], sum(one.waiting.count for one in several)
    names = ", ".join(f"“{one.connection.name}”" for one in several[:NAMED])
    if len(several) > NAMED:
        names += f" and {len(several) - NAMED:,} more connections"
    known = BY_TYPE.get(first.connection.type)
    vendor = known.label if known else first.connection.type
    error = first.last_error
    code = error.outcome_code if error else None
    whose: Literal["us", "them"] = "us"
    stuck = waits > 0
    since = min(_since(one, state) for one in several)
    if state == "inactive":
        refused = REFUSALS.get(first.connection.inactive_reason or "manually_inactivated")
        said = f"{vendor} {refused} of {names}" if refused else f"{names}: deactivated"
        remedy = (
            "Enter a valid key: on the connection's page, or with emitonce connections update "
            "CONNECTION --api-key -. Waiting events then continue."
            if refused
            else "Resume it when it may deliver again: emitonce connections resume CONNECTION."
        )
    elif state == "paused":
        stuck = False
        said = f"{names}: paused by hand, and events wait"
        remedy = "Resume it before they are lost: emitonce connections resume CONNECTION."
    elif state == "behind":
        stuck = False
        limited = code is OutcomeCode.RATE_LIMITED
        whose = "them" if limited else "us"
        said = f"{names}: events come in faster than they are delivered"
        remedy = (
            f"{vendor} limits the rate, and events are delivered as fast as it allows. Ask for a "
            "higher limit if this happens often."
            if limited
            else "They are delivered in turn. If this continues, add workers, or raise the "
            "connection's rate if one is set."
        )
    else:
        whose = "them" if code in _THEIRS else "us"
        said, remedy = _failing(vendor, names, error)
    return Problem(symptom=state, whose=whose, stuck=stuck, since=since, said=said, remedy=remedy)


def _failing(vendor: str, names: str, error: LastResponse | None) -> tuple[str, str]:
    code = error.outcome_code if error else None
    answer = f"answers {error.status_code}" if error and error.status_code else "doesn't answer"
    if code is OutcomeCode.RATE_LIMITED:
        return (
            f"{vendor} accepts nothing on {names}: too many requests",
            "Deliveries are retried automatically. If this continues, check the account's limit.",
        )
    if code in (OutcomeCode.TIMEOUT, OutcomeCode.NETWORK_ERROR):
        return (
            f"{vendor} can't be reached for {names}",
            "Deliveries are retried automatically. Check the workers' internet connection, then "
            f"{vendor}'s status page.",
        )
    if code in _THEIRS:
        return (
            f"{vendor} {answer} on {names}",
            "Deliveries are retried automatically, so there is nothing to do here. Check "
            f"{vendor}'s status page.",
        )
    if code is OutcomeCode.INTERNAL_ERROR:
        return (
            f"Requests to {vendor} for {names} can't be made: {error.message if error else ''}",
            "Fix this; deliveries are retried automatically.",
        )
    return (
        f"{vendor} {answer} to every event on {names}, so they fail for good",
        "Open the latest failed event, fix the mapping or the data, then redeliver: emitonce "
        "redeliver --failed.",
    )


def fails(one: Traffic) -> bool:
    """Say whether an active connection only fails."""
    return one.connection.active and one.failing_since is not None


def failing_sentence(one: Traffic) -> str:
    """Say what is wrong with a connection that only fails, and what to do."""
    problem = _problem("failing", [one])
    return f"{problem.said}. {problem.remedy}"


def _since(one: Traffic, state: Symptom) -> datetime:
    connection = one.connection
    if state == "inactive":
        return connection.inactive_since or connection.updated_at
    if state == "failing" and one.failing_since:
        return one.failing_since
    return one.waiting.oldest or connection.updated_at


def _connection(one: Traffic, state: ConnectionState) -> ConnectionHealth:
    error = one.last_error
    return ConnectionHealth(
        id=one.connection.id,
        name=one.connection.name,
        state=state,
        waiting=one.waiting.count,
        oldest=one.waiting.oldest,
        last_success=one.last_success,
        last_error=f"{error.outcome_code}: {error.message}" if error else None,
    )


def _waiting(facts: Facts, traffic: Sequence[Traffic]) -> int | None:
    """Return how many events wait; what workers counted last, if Temporal doesn't answer."""
    if facts.waiting is not None:
        return facts.waiting.count
    return sum(one.waiting.count for one in traffic) or None


def _lost_at(facts: Facts, traffic: Sequence[Traffic]) -> datetime | None:
    """Return when the first delivery is given up that waits now."""
    found = [
        one.waiting.oldest + _deadline(one) for one in traffic if one.waiting.oldest is not None
    ]
    if facts.waiting is not None and facts.waiting.oldest is not None:
        found.append(facts.waiting.oldest + DELIVERY_DEADLINE)
    return min(found, default=None)


def _deadline(one: Traffic) -> timedelta:
    known = BY_TYPE.get(one.connection.type)
    found = [known.action(action) for action in one.actions] if known else []
    return min((action.deadline for action in found if action), default=DELIVERY_DEADLINE)


def _advice(
    problems: Sequence[Problem], waiting: int | None, lost_at: datetime | None, now: datetime
) -> str:
    if not problems:
        return "Deliveries are healthy; there is nothing to do."
    said = [f"{problem.summary}. {problem.remedy}" for problem in problems[:NAMED]]
    if len(problems) > NAMED:
        said.append(f"{len(problems) - NAMED} more problems: emitonce doctor.")
    return " ".join([*said, waiting_sentence(waiting, lost_at, now)])


def waiting_sentence(waiting: int | None, lost_at: datetime | None, now: datetime) -> str:
    """Say how many events wait, and when the first of them is lost."""
    if waiting is None:
        return "How many events wait is unknown."
    if not waiting:
        return "No event waits."
    verb = "waits" if waiting == 1 else "wait"
    if lost_at is None:
        return f"{_events(waiting, verb='')} {verb}; none is lost."
    if lost_at <= now:
        return f"{_events(waiting, verb='')} {verb}, and the first are being given up now."
    return (
        f"{_events(waiting, verb='')} {verb}. None is lost before {clock_time(lost_at)}; "
        "then the first delivery is given up."
    )


def _events(count: int, *, verb: str = "have") -> str:
    if verb and count == 1:
        verb = "has"
    return f"{count:,} {'event' if count == 1 else 'events'} {verb}".strip()


def clock_time(at: datetime) -> str:
    """Write a time as people read it: `30 Nov 14:02 UTC`."""
    at = at.astimezone(UTC)
    return f"{at.day} {at:%b %H:%M} UTC"


def _with_times(shown: dict[str, object]) -> dict[str, object]:
    return {
        key: iso_milliseconds(value) if isinstance(value, datetime) else value
        for key, value in shown.items()
    }
