"""Decide which deliveries of an ended run are made again, and write the new run's input."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from delivery.delivery_log import CallLog, DeliveryLog
from delivery.errors import InvalidEvent
from delivery.event import read_event
from delivery.redelivery import Redelivery
from delivery.result import Status
from delivery.timestamps import iso_milliseconds
from eventlog.history import RunFacts
from eventlog.log import EventLog

# Of the 2 MiB that the server allows for one payload, half is left for the event itself.
LARGEST_REDELIVERY = 1024 * 1024
LARGEST_INPUT = 2 * 1024 * 1024 - 4096

# A run that ended in one of these ways did not decide about its open deliveries: they have failed.
ENDED_FROM_OUTSIDE = ("terminated", "timed_out")


class NotRedeliverable(Exception):
    """The event can't be redelivered; the message says why."""


def plan_redelivery(
    log: EventLog, facts: RunFacts, rules: Sequence[str] | None = None
) -> Redelivery:
    """Plan to make all failed deliveries again, or only those of `rules`.

    `log` and `facts` are of the event's latest run. If that was terminated or timed out, its open
    deliveries count as failed, but not those canceled before.

    Raises:
        NotRedeliverable: the run is open, was delivered or canceled, or can't be read; or one of
            `rules` has no failed delivery.
    """
    _check_end(log, facts)
    if facts.matched is None and not log.deliveries:
        if rules:
            raise NotRedeliverable(
                "the event failed before it was matched with any rule; redeliver it whole"
            )
        return Redelivery(accepted_at=log.accepted_at)
    failed = [delivery.rule for delivery in log.deliveries if _has_failed(delivery, facts)]
    for rule in rules or ():
        if rule not in failed:
            raise NotRedeliverable(_why_not(log, rule))
    chosen = failed if rules is None else [rule for rule in failed if rule in rules]
    if not chosen:
        raise NotRedeliverable("no delivery of this event has failed")
    return Redelivery(
        accepted_at=log.accepted_at,
        rules=tuple(chosen),
        earlier=tuple(_at_rest(delivery, delivery.rule in chosen) for delivery in log.deliveries),
    )


def event_fields(log: EventLog, facts: RunFacts) -> dict[str, Any]:
    """Return the event as it came, with its resolved timestamp and without the earlier runs."""
    timestamp = iso_milliseconds(log.timestamp) if log.timestamp else None
    fields = {**facts.input, "timestamp": timestamp}
    fields.pop("redelivery", None)
    return fields


def redelivered_input(log: EventLog, facts: RunFacts, redelivery: Redelivery) -> bytes:
    """Write the new run's input: the event as it came, its resolved timestamp, the earlier runs.

    Raises:
        NotRedeliverable: it doesn't fit into one payload, even shortened.
    """
    fields = event_fields(log, facts)
    event = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    data = b""

    def fits(redelivery: Redelivery) -> bool:
        nonlocal data
        earlier = redelivery.model_dump_json(exclude_defaults=True).encode()
        data = event[:-1] + b',"redelivery":' + earlier + b"}"
        if len(earlier) > LARGEST_REDELIVERY or len(data) > LARGEST_INPUT:
            return False
        try:
            read_event(data, event_id=log.event_id, started_at=facts.started_at)
        except InvalidEvent:
            return False  # a recorded request is nested deeper here than it was in the event
        return True

    if redelivery.shortened_until(fits) is None:
        raise NotRedeliverable(
            "the event is too large to start again with the record of its deliveries; emit it as a "
            "new one"
        )
    return data


def _check_end(log: EventLog, facts: RunFacts) -> None:
    if facts.closed is None:
        raise NotRedeliverable("the event is still being delivered; wait for its end, or cancel it")
    if facts.closed == "canceled":
        raise NotRedeliverable("the event was canceled; emit it again as a new one")
    if facts.closed == "completed":
        raise NotRedeliverable("no delivery of this event has failed")
    if log.payload is None or facts.error_type == "InvalidEvent":
        raise NotRedeliverable(
            f"the event could not be read ({facts.error or 'it is malformed'}); "
            "emit a corrected one"
        )


def _has_failed(delivery: DeliveryLog, facts: RunFacts) -> bool:
    if delivery.status is Status.FAILED:
        return True
    return (
        delivery.status is Status.CANCELED
        and facts.closed in ENDED_FROM_OUTSIDE
        and delivery.rule not in facts.canceled_rules
        and delivery.rule in _made_by(facts)
    )


def _made_by(facts: RunFacts) -> set[str]:
    """Return the rules for which this run, and not an earlier one, made deliveries."""
    return {rule.id for rule in facts.matched.rules} if facts.matched else set()


def _why_not(log: EventLog, rule: str) -> str:
    for delivery in log.deliveries:
        if delivery.rule == rule:
            return (
                f"the delivery for rule {rule} is {delivery.status}; only failed ones are "
                "delivered again"
            )
    return f"no delivery of this event is for rule {rule}"


def _at_rest(delivery: DeliveryLog, failed: bool) -> DeliveryLog:
    """Return the delivery with nothing planned or in flight, since its run has ended."""
    return delivery.model_copy(
        update={
            "status": Status.FAILED if failed else delivery.status,
            "held": None,
            **{call.call: _call_at_rest(call) for call in delivery.calls},
        }
    )


def _call_at_rest(call: CallLog) -> CallLog:
    if not call.attempts:
        return call
    last = call.attempts[-1].model_copy(update={"next_attempt_at": None})
    return call.model_copy(
        update={
            "attempts": (*call.attempts[:-1], last),
            "next_attempt_at": None,
            "in_flight": False,
        }
    )
