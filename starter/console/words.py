"""Words for codes, and times as people read them, in their own zone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from catalog.connections import Connection
from catalog.rules import Rule
from delivery.attempt import Attempt, Call
from delivery.delivery_log import DeliveryLog
from delivery.failures import Failure
from delivery.outcome import OutcomeCode
from delivery.result import Status
from destinations.destination import Destination, Field
from destinations.headlines import headline_of, headline_of_failures
from destinations.registry import BY_TYPE
from starter.console.zone import localized
from starter.json_objects import moment as iso
from starter.states import WORDS

# How a delivery or an event stands: a word, and the color that goes with it.
STATUS: dict[str, tuple[str, str]] = {
    Status.PENDING: (WORDS[Status.PENDING], "quiet"),
    Status.PROCESSING: (WORDS[Status.PROCESSING], "busy"),
    Status.RETRYING: (WORDS[Status.RETRYING], "warn"),
    Status.COMPLETED: (WORDS[Status.COMPLETED], "good"),
    Status.FAILED: (WORDS[Status.FAILED], "bad"),
    Status.CANCELED: (WORDS[Status.CANCELED], "quiet"),
}

# How an attempt ended, likewise. An attempt that is retried isn't a failure yet.
OUTCOME = {
    OutcomeCode.DELIVERED: ("Accepted", "good"),
    OutcomeCode.REJECTED_CLIENT_ERROR: ("Refused", "bad"),
    OutcomeCode.REJECTED_SERVER_ERROR: ("Server error", "warn"),
    OutcomeCode.RATE_LIMITED: ("Rate limited", "warn"),
    OutcomeCode.AUTH_FAILED: ("Key refused", "bad"),
    OutcomeCode.TIMEOUT: ("Timed out", "warn"),
    OutcomeCode.NETWORK_ERROR: ("No connection", "warn"),
    OutcomeCode.MAPPING_ERROR: ("Mapping error", "bad"),
    OutcomeCode.INTERNAL_ERROR: ("Internal error", "warn"),
}

# How a connection stands, in a word and a color.
CONNECTION = {
    "active": ("Active", "good"),
    "paused": ("Paused", "warn"),
    "inactive": ("Inactive", "bad"),
}

# By the fields of `delivery.people`.
IDENTIFIER = {"userId": "user id", "email": "e-mail", "anonymousId": "anonymous id"}

INACTIVE = {
    "authentication_invalid": "The destination refused the credentials. Enter the right ones, and "
    "waiting deliveries continue.",
    "oauth_authorization_revoked": "The token was revoked at the destination, or its app was "
    "removed there. Authorize the app again, enter the new token, and waiting deliveries continue.",
    "oauth_reauthorization_required": "The destination requires a new authorization: the token "
    "has expired or lacks a permission. Authorize the app again there, enter its token, and "
    "waiting deliveries continue.",
    "manually_inactivated": "Its receiver wants no more messages. Resume it to deliver again.",
}

UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))

# What each scope of a key allows.
SCOPES_IN_WORDS = {
    "emit": "emit events",
    "read": "see everything except payloads",
    "payload": "see payloads, requests and answers, and so personal data",
    "operate": "pause, resume, retry, redeliver, cancel, send test events",
    "manage": "change workspaces, connections, rules, mappings and keys",
}

# What a page says after a form was sent; only these codes are ever shown.
DONE = {
    "sessions-ended": "Signed out everywhere.",
    "workspace": "Workspace created. Next: create a connection.",
    "connection": "The connection is saved. Next: create a rule that uses it.",
    "changed": "Saved.",
    "paused": "Paused. Events are accepted, and their deliveries wait here.",
    "resumed": "Resumed. Waiting deliveries continue now.",
    "resumed-later": "Resumed. Temporal is unavailable: waiting deliveries continue within an "
    "hour of its return.",
    "changed-later": "Saved. Temporal is unavailable: waiting deliveries continue within an "
    "hour of its return.",
    "connection-gone": "The connection and its rules are deleted.",
    "connection-gone-later": "The connection and its rules are deleted. Temporal is unavailable: "
    "waiting deliveries fail within an hour of its return.",
    "rule": "The rule is saved. Send a test event to check that it works.",
    "rule-on": "The rule is on: it matches events from now on.",
    "rule-off": "The rule is off. Events that matched it before are still delivered.",
    "rule-gone": "The rule is deleted. Events that matched it before are still delivered.",
    "retry": "Retrying now.",
    "again": "Failed deliveries are sent again. Earlier attempts stay on record.",
    "ticked": "The selected events are sent again. Earlier attempts stay on record.",
    "canceled": "Canceled. What was already sent stays sent.",
    "canceling": "Canceling. A request in flight finishes first.",
    "redelivery": "The redelivery has started.",
    "redelivery-canceled": "Canceled. No further events are redelivered.",
    "key": "Key created.",
    "rights": "Saved. It applies to what the key emits from now on.",
    "alerts": "Saved. Workers post alerts there from now on. Send a test alert to check it.",
    "alerts-gone": "Removed.",
    "revoked": "Key revoked. It no longer works.",
}


def event_status(value: str) -> str:
    """Name an event's status: one that matched no rule is completed too."""
    return "Completed" if value == Status.COMPLETED else STATUS[value][0]


def attempt(made: Attempt) -> str:
    """Say how it ended; of an internal error, what is known of its request."""
    if made.outcome_code is not OutcomeCode.INTERNAL_ERROR or made.request_made:
        return OUTCOME[made.outcome_code][0]
    return "Unknown" if made.request_made is None else "Not sent"


def destination_word(connection: Connection) -> str:
    """Name a destination, such as `Customer.io EU`."""
    region = connection.settings.get("region", "")
    known = BY_TYPE.get(connection.type)
    return f"{known.label if known else connection.type} {region.upper()}".strip()


def action(rule: Rule) -> str:
    """Name what a rule does, such as `Track event: Signed Up`."""
    known = BY_TYPE.get(rule.type)
    done = known.action(str(rule.metadata.get("action"))) if known else None
    if done is None:
        return str(rule.metadata.get("action"))
    given = [str(value) for one in done.inputs[:1] if (value := rule.metadata.get(one.key))]
    return ": ".join([done.label, *given])


def condition(field: Field, destination: Destination) -> str:
    """Say when a field applies, such as `Authentication: Basic`; empty if it always does."""
    if field.only_with is None:
        return ""
    key, values = field.only_with
    other = next(one for one in destination.fields if one.key == key)
    chosen = [option.label for option in other.options if option.value in values]
    return f"{other.label}: {' or '.join(chosen)}"


def calls_of(delivery: DeliveryLog) -> tuple[Call, ...]:
    """Return the calls that it consists of, made or not, in order."""
    made = tuple(call.call for call in delivery.calls)
    known = BY_TYPE.get(delivery.integration_type)
    return next(
        (one.calls for one in (known.actions if known else ()) if {*made} <= {*one.calls}), made
    )


def sentence(text: str) -> str:
    """Add a capital letter and a period."""
    text = text.strip()
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text.endswith((".", "!", "?", "…")) else ".")


def headline(delivery: DeliveryLog, own_words: bool = True) -> str:
    """Say why it failed; the destination's `own_words` may repeat what was sent."""
    return sentence(headline_of(delivery, own_words=own_words) or delivery.last_error or "")


def why(failures: Sequence[Failure]) -> str:
    """Say why an event failed, as far as lists know."""
    return sentence(headline_of_failures(failures) or "")


def clock(at: datetime) -> str:
    """Write the time of day, such as `18:04:09.120`."""
    return localized(at).strftime("%H:%M:%S.%f")[:-3]


def moment(at: datetime, now: datetime | None = None) -> str:
    """Write `yesterday 18:04:09` or `23 Nov 18:04:09`; with the year if it isn't this one."""
    at, now = localized(at), localized(now or datetime.now(UTC))
    days = (now.date() - at.date()).days
    if days in (0, 1):
        return f"{'yesterday' if days else 'today'} {at:%H:%M:%S}"
    year = "" if at.year == now.year else f" {at.year}"
    return f"{at.day} {at:%b}{year} {at:%H:%M:%S}"


def utc(at: datetime) -> str:
    """Write it for comparing with other systems: `2026-11-23 18:04:09 UTC`."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def ago(at: datetime, now: datetime | None = None) -> str:
    """Write `2 min ago`, or `in 2 min`."""
    seconds = ((now or datetime.now(UTC)) - at).total_seconds()
    size, unit = next((one for one in UNITS if abs(seconds) >= one[0]), (1, "s"))
    text = f"{abs(seconds) / size:.0f} {unit}"
    if text == "0 s":
        return "now"
    return f"{text} ago" if seconds > 0 else f"in {text}"


def span(value: timedelta | float | int | None) -> str:
    """Write a length of time; a number is milliseconds: `34 ms`, `2.1 s`, `4 min 10 s`."""
    if value is None:
        return "–"
    ms = value / timedelta(milliseconds=1) if isinstance(value, timedelta) else float(value)
    if ms < 1_000:
        return f"{ms:.0f} ms"
    seconds = ms / 1_000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} days"


def count(number: int, noun: str) -> str:
    """Write `1 delivery`, `1,204 deliveries`."""
    if number != 1:
        noun = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun}"


FILTERS: dict[str, Callable[..., Any]] = {
    "status_word": lambda status: STATUS[status][0],
    "event_status_word": event_status,
    "tone": lambda status: STATUS[status][1],
    "attempt_word": attempt,
    "outcome_tone": lambda code: OUTCOME[code][1],
    "connection_word": lambda connection: CONNECTION[connection.status][0],
    "connection_tone": lambda connection: CONNECTION[connection.status][1],
    "sentence": sentence,
    "headline": headline,
    "why": why,
    "clock": clock,
    "moment": moment,
    "localized": localized,
    "utc": utc,
    "iso": iso,
    "ago": ago,
    "span": span,
    "count_of": count,
    "destination_word": destination_word,
    "condition": condition,
    "action_word": action,
    "calls_of": calls_of,
    "identifier_word": lambda field: IDENTIFIER[field],
    "inactive_word": lambda reason: INACTIVE.get(reason, reason or ""),
}
