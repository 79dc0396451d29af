"""A delivery's story as the page tells it: its calls, every attempt, the waits between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup

from delivery.attempt import Attempt, Call
from delivery.delivery_log import CallLog, DeliveryLog
from delivery.result import Status
from eventlog.log import EventLog
from starter.console import words
from starter.console.charts import strip

OPEN = (Status.PENDING, Status.PROCESSING, Status.RETRYING)


@dataclass(frozen=True)
class Made:
    """One attempt. `waited` is the time since the one before ended; `left_out` how many between
    the two are no longer kept."""

    attempt: Attempt
    waited: timedelta | None
    left_out: int


@dataclass(frozen=True)
class CallStory:
    """`state` says in a word how it stands; `not_sent` why there is nothing to tell."""

    name: str
    call: CallLog | None
    made: tuple[Made, ...]
    state: str
    tone: str
    not_sent: str | None = None


@dataclass(frozen=True)
class Story:
    """`can` holds what may be done now: retry, cancel, again."""

    delivery: DeliveryLog
    rule_name: str
    calls: tuple[CallStory, ...]
    can: frozenset[str]
    strip: Markup | None
    first: datetime
    until: datetime


def stories(log: EventLog, rules: Mapping[str, str], now: datetime) -> list[Story]:
    """One for each delivery; `rules` are their rules' names, of those that still exist."""
    ended = log.completed_at is not None
    return [_story(delivery, rules, ended, now) for delivery in log.deliveries]


def _story(delivery: DeliveryLog, rules: Mapping[str, str], ended: bool, now: datetime) -> Story:
    attempts = [attempt for call in delivery.calls for attempt in call.attempts]
    ends = [one.started_at + timedelta(milliseconds=one.duration_ms) for one in attempts]
    first = min((one.started_at for one in attempts), default=now)
    until = max([*ends, now] if delivery.status in OPEN else ends, default=now)
    return Story(
        delivery=delivery,
        rule_name=rules.get(delivery.rule, ""),
        calls=tuple(_call(name, delivery) for name in words.calls_of(delivery)),
        can=_can(delivery, ended),
        strip=strip(attempts, until) if attempts else None,
        first=first,
        until=until,
    )


def _call(name: Call, delivery: DeliveryLog) -> CallStory:
    call = delivery.call(name)
    if call is None:
        return CallStory(name, None, (), *_unsent(name, delivery))
    attempts = call.attempts
    made = []
    for place, attempt in enumerate(attempts):
        before = attempts[place - 1] if place else None
        ended = before.started_at + timedelta(milliseconds=before.duration_ms) if before else None
        made.append(
            Made(
                attempt,
                waited=max(attempt.started_at - ended, timedelta()) if ended else None,
                left_out=attempt.number - before.number - 1 if before else 0,
            )
        )
    state, tone = _state(call, delivery)
    return CallStory(name, call, tuple(made), state, tone)


def _state(call: CallLog, delivery: DeliveryLog) -> tuple[str, str]:
    if call.in_flight and call.next_attempt_at is None and not call.attempts:
        return "In flight", "busy"
    if delivery.held is not None and call.outcome_code != "delivered":
        return "Waiting for the connection", "warn"
    if call.next_attempt_at is not None:
        return "Retrying", "warn"
    if call.outcome_code is None:
        return ("Canceled", "quiet") if delivery.status is Status.CANCELED else ("Sending", "busy")
    tone = "good" if call.outcome_code == "delivered" else "bad"
    return words.attempt(call.attempts[-1]), tone


def _unsent(name: Call, delivery: DeliveryLog) -> tuple[str, str, str]:
    names = words.calls_of(delivery)
    before = names[: names.index(name)][-1:]
    if delivery.status in OPEN:
        why = f"Sent once {before[0]} is accepted." if before else "About to be sent."
        return "Not sent yet", "quiet", why
    if before and delivery.calls:
        why = f"{before[0].capitalize()} was not accepted, so {name} is not sent."
        return "Not sent", "quiet", why
    return "Not sent", "quiet", "No request was made."


def _can(delivery: DeliveryLog, ended: bool) -> frozenset[str]:
    if ended:
        return frozenset({"again"}) if delivery.status is Status.FAILED else frozenset()
    if delivery.status not in OPEN:
        return frozenset()
    waits = any(call.next_attempt_at is not None for call in delivery.calls)
    return frozenset({"cancel", "retry"} if waits and delivery.held is None else {"cancel"})


def rule_names(rules: list[Any]) -> dict[str, str]:
    """What a rule is called on the page of an event: its event and what it is narrowed to."""
    return {
        rule.id: rule.event + (f" · {rule.resource}" if rule.resource else "") for rule in rules
    }
