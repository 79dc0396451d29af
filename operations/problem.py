"""What can be wrong with a connection, a process or a database: whose fault, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from pydantic import AwareDatetime

from catalog.traffic import Traffic
from delivery.alert import LastResponse
from delivery.frozen_model import FrozenModel
from delivery.outcome import REFUSALS, OutcomeCode
from destinations.headlines import vendor_of
from destinations.registry import BY_TYPE

# Each has a section in docs/runbook.md.
Symptom = Literal["temporal", "postgresql", "no worker", "behind", "failing", "paused", "inactive"]

NAMED = 3

# Outcomes by which the vendor, or the way to it, keeps a connection from delivering.
_THEIRS = (
    OutcomeCode.REJECTED_SERVER_ERROR,
    OutcomeCode.TIMEOUT,
    OutcomeCode.NETWORK_ERROR,
    OutcomeCode.RATE_LIMITED,
)


class Problem(FrozenModel):
    """What is wrong, whose fault it is, and what to do. `symptom` is its section in the runbook."""

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


def problem_of(state: Symptom, several: Sequence[Traffic]) -> Problem:
    """Say what is wrong with connections that are in the same state for the same reason."""
    first, waits = several[0], sum(one.waiting.count for one in several)
    names = ", ".join(f"“{one.connection.name}”" for one in several[:NAMED])
    if len(several) > NAMED:
        names += f" and {len(several) - NAMED:,} more connections"
    known, vendor = BY_TYPE.get(first.connection.type), vendor_of(first.connection.type)
    error = first.last_error
    code = error.outcome_code if error else None
    whose: Literal["us", "them"] = "us"
    stuck = waits > 0
    since = min(_since(one, state) for one in several)
    if state == "inactive":
        refused = REFUSALS.get(first.connection.inactive_reason or "manually_inactivated")
        said = f"{vendor} {refused} of {names}" if refused else f"{names}: deactivated"
        secret = "--api-key -" if known and len(known.secret_keys) == 1 else "--secret KEY"
        remedy = (
            "Enter a valid one: on the connection's page, or with emitonce connections update "
            f"CONNECTION {secret}. Waiting events then continue."
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
    problem = problem_of("failing", [one])
    return f"{problem.said}. {problem.remedy}"


def _since(one: Traffic, state: Symptom) -> datetime:
    connection = one.connection
    if state == "inactive":
        return connection.inactive_since or connection.updated_at
    if state == "failing" and one.failing_since:
        return one.failing_since
    return one.waiting.oldest or connection.updated_at


def clock_time(at: datetime) -> str:
    """Write a time as people read it: `30 Nov 14:02 UTC`."""
    at = at.astimezone(UTC)
    return f"{at.day} {at:%b %H:%M} UTC"
