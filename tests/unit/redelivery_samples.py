"""Logs and facts of ended runs, for the tests of redelivery."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from delivery_samples import CONNECTION, EVENT_ID, NOW, attempts, event, event_fields, rule

from delivery.attempt import AttemptList, Call
from delivery.delivery_log import CallLog, DeliveryLog
from delivery.outcome import OutcomeCode
from delivery.result import Status
from delivery.rule import MatchResult
from destinations.registry import build_messages
from eventlog.history import RunFacts
from eventlog.log import EventLog

A, B, C = (f"7d3c1a52-90b4-4a53-8f05-00000000000{n}" for n in "abc")


def call_log(call: Call, count: int = 1, **changes: Any) -> CallLog:
    """A call that failed so many times, the next attempt still planned."""
    made = attempts(count, call=call, excerpt=changes.pop("excerpt", "busy"))
    pair = build_messages(event(), rule(id=A))
    fields: dict[str, Any] = {
        "call": call,
        "request": pair.messages[call == "track"].body,
        "outcome_code": OutcomeCode.REJECTED_SERVER_ERROR,
        "status_code": 503,
        "response_excerpt": made.last.response_excerpt if made.last else None,
        "attempt_count": made.count,
        "attempts_left_out": made.left_out,
        "attempts": planned(made).kept,
        "next_attempt_at": NOW + timedelta(minutes=5),
        "in_flight": True,
    }
    return CallLog(**{**fields, **changes})


def planned(made: AttemptList) -> AttemptList:
    if made.last is None:
        return made
    last = made.last.model_copy(update={"next_attempt_at": NOW + timedelta(minutes=5)})
    return AttemptList(count=made.count, kept=(*made.kept[:-1], last))


def delivery(rule_id: str, status: Status, **changes: Any) -> DeliveryLog:
    fields: dict[str, Any] = {
        "rule": rule_id,
        "connection": CONNECTION,
        "connection_name": "Production",
        "integration_type": "customer_io",
        "status": status,
        "attempt_count": 1,
        "started_at": NOW,
        "completed_at": NOW + timedelta(hours=1),
        "last_error": "rejected_client_error: 400: the request was refused"
        if status is Status.FAILED
        else None,
        "identify": call_log("identify"),
    }
    return DeliveryLog(**{**fields, **changes})


def log_of(*deliveries: DeliveryLog, **changes: Any) -> EventLog:
    read = event()
    fields: dict[str, Any] = {
        "event_id": EVENT_ID,
        "run_id": "run-1",
        "workspace": read.workspace,
        "event": read.event,
        "resource": read.resource,
        "resource_id": None,
        "payload": read.payload,
        "timestamp": read.timestamp,
        "test": False,
        "status": Status.FAILED,
        "accepted_at": NOW + timedelta(milliseconds=5),
        "completed_at": NOW + timedelta(hours=1),
        "total_rules": len(deliveries),
        "completed_count": 0,
        "failed_count": 0,
        "error": None,
        "deliveries": deliveries,
    }
    return EventLog(**{**fields, **changes})


def facts_of(*rules: str, closed: str | None = "failed", **changes: Any) -> RunFacts:
    """The facts of a run that made deliveries for these rules."""
    fields: dict[str, Any] = {
        "started_at": NOW,
        "accepted_at": NOW,
        "input": event_fields(),
        "matched": MatchResult(
            workspace_known=True, rules=tuple(rule(id=rule_id) for rule_id in rules)
        ),
        "closed": closed,
        "closed_at": None if closed is None else NOW + timedelta(hours=1),
    }
    return RunFacts(**{**fields, **changes})
