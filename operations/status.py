"""Judge whether deliveries are healthy: is it us or them, since when, what waits, and what to do.

The command, the API, the console's banner and the doctor all say what `judge` says. It is pure: it
decides from facts that `operations.status_reader` has read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pydantic import AwareDatetime, Field

from catalog.traffic import Traffic, Waiting
from catalog.workers import LiveWorkers
from delivery.frozen_model import FrozenModel
from delivery.outcome import DELIVERY_DEADLINE
from delivery.timestamps import iso_milliseconds
from destinations.registry import BY_TYPE
from operations.problem import NAMED, Problem, clock_time, problem_of

State = Literal["ok", "degraded", "stuck"]
ConnectionState = Literal["ok", "behind", "failing", "paused", "inactive"]

# An event that waits for longer, though its connection delivers, shows that it falls behind.
BEHIND_AFTER = timedelta(minutes=1)


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
            yield problem_of(state, several)


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


def _with_times(shown: dict[str, object]) -> dict[str, object]:
    return {
        key: iso_milliseconds(value) if isinstance(value, datetime) else value
        for key, value in shown.items()
    }
