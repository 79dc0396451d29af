"""What the page of an event says of a delivery: the state of its calls, what may be done now."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from delivery.attempt import Attempt, Call
from delivery.delivery_log import DeliveryLog
from delivery.result import Status
from starter.console import words
from starter.states import HELD


def call_state(name: Call, delivery: DeliveryLog) -> tuple[str, str, str | None]:
    """Return a call's state in a word, that word's color, and why the call was not sent."""
    call = delivery.call(name)
    if call is None:
        return _unsent(name, delivery)
    if call.in_flight and call.next_attempt_at is None and not call.attempts:
        return "In flight", "busy", None
    if delivery.held is not None and call.outcome_code != "delivered":
        return HELD, "warn", None
    if call.next_attempt_at is not None:
        return "Retrying", "warn", None
    if call.outcome_code is not None:
        tone = "good" if call.outcome_code == "delivered" else "bad"
        return words.attempt(call.attempts[-1]), tone, None
    if delivery.status is Status.CANCELED:
        return "Canceled", "quiet", None
    return "Sending", "busy", None


def _unsent(name: Call, delivery: DeliveryLog) -> tuple[str, str, str]:
    names = words.calls_of(delivery)
    before = names[: names.index(name)][-1:]
    if not delivery.status.ended:
        why = f"Sent once {before[0]} is accepted." if before else "About to be sent."
        return "Not sent yet", "quiet", why
    if before and delivery.calls:
        why = f"{before[0].capitalize()} was not accepted, so {name} was not sent."
        return "Not sent", "quiet", why
    return "Not sent", "quiet", "No request was made."


def waited(attempt: Attempt, before: Attempt) -> timedelta:
    """Return the time between two attempts."""
    return max(attempt.started_at - _end(before), timedelta())


def strip(delivery: DeliveryLog, now: datetime) -> tuple[list[Attempt], datetime, datetime] | None:
    """Return every attempt, and when the first one started and the last one ended (or now)."""
    attempts = [attempt for call in delivery.calls for attempt in call.attempts]
    if not attempts:
        return None
    ends = [_end(one) for one in attempts]
    until = max(ends if delivery.status.ended else [*ends, now])
    return attempts, min(one.started_at for one in attempts), until


def possible(delivery: DeliveryLog, ended: bool) -> set[str]:
    """Return what may be done with it now: retry, cancel, again."""
    if ended:
        return {"again"} if delivery.status is Status.FAILED else set()
    if delivery.status.ended:
        return set()
    waits = any(call.next_attempt_at is not None for call in delivery.calls)
    return {"cancel", "retry"} if waits and delivery.held is None else {"cancel"}


def _end(attempt: Attempt) -> datetime:
    return attempt.started_at + timedelta(milliseconds=attempt.duration_ms)


FILTERS: dict[str, Callable[..., Any]] = {
    "call_state": call_state,
    "waited": waited,
    "strip": strip,
    "possible": possible,
}
