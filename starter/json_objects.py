"""The JSON objects that command line and HTTP API show, in the shapes of Meshes' API.

Times are RFC 3339 in UTC, ids are UUIDs. What is absent there is left out or null as its clients
expect; `status` of a connection and `warnings` of a rule or delivery are additions of ours.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from catalog.audit import Recorded
from catalog.connections import Connection
from catalog.publishable_keys import PublishableKey
from catalog.rules import Rule
from catalog.workspaces import Workspace
from delivery.attempt import Attempt
from delivery.delivery_log import CallLog, DeliveryLog
from destinations.headlines import headline_of, headline_of_failures
from destinations.registry import unread_metadata
from eventlog.listed_event import ListedEvent
from eventlog.log import EventLog

JsonObject = dict[str, Any]

# Who emitted an event that was started straight through Temporal, where nobody says who.
UNSAID = "temporal"


def workspace_object(workspace: Workspace) -> JsonObject:
    return {
        "id": workspace.id,
        "name": workspace.name,
        "description": workspace.description,
        "created_at": moment(workspace.created_at),
        "updated_at": moment(workspace.updated_at),
    }


def act_object(recorded: Recorded) -> JsonObject:
    """`network` is that of the address from which it was done."""
    act = recorded.act
    return {
        "id": recorded.id,
        "created_at": moment(recorded.created_at),
        "via": act.via,
        "actor": act.actor,
        "act": act.name,
        "ids": dict(act.ids),
        "network": act.address,
        "outcome": recorded.outcome,
    }


def publishable_key_object(key: PublishableKey) -> JsonObject:
    """`events` and `origins` are left out where it may emit any and come from any."""
    return {
        "id": key.id,
        "workspace": key.workspace,
        "public_key": key.public_key,
        "name": key.name,
        **present(
            events=None if key.rights.events is None else list(key.rights.events),
            origins=None if key.rights.origins is None else list(key.rights.origins),
        ),
        "identify": key.rights.identify,
        "kept_wide": key.kept_wide,
        "created_by": key.created_by,
        "created_at": moment(key.created_at),
        "revoked_at": moment(key.revoked_at) if key.revoked_at else None,
    }


def connection_object(connection: Connection) -> JsonObject:
    """Show a connection without its secrets."""
    paused = connection.status == "paused"
    return {
        "id": connection.id,
        "workspace": connection.workspace,
        "type": connection.type,
        "name": connection.name,
        "metadata": dict(connection.settings),
        "active": connection.active,
        "status": connection.status,
        "hidden": connection.hidden,
        "created_by": connection.created_by,
        "created_at": moment(connection.created_at),
        "updated_at": moment(connection.updated_at),
        **present(inactive_reason="manually_inactivated" if paused else connection.inactive_reason),
    }


def rule_object(rule: Rule) -> JsonObject:
    return {
        "id": rule.id,
        "connection": rule.connection,
        "workspace": rule.workspace,
        "type": rule.type,
        **present(resource=rule.resource, resource_id=rule.resource_id),
        "event": rule.event,
        "metadata": rule.metadata,
        "active": rule.active,
        "hidden": rule.hidden,
        **present(warnings=list(unread_metadata(rule.type, rule.metadata)) or None),
        "created_by": rule.created_by,
        "created_at": moment(rule.created_at),
        "updated_at": moment(rule.updated_at),
    }


def deleted_rule_object(rule: Rule) -> JsonObject:
    shown = rule_object(rule)
    kept = ("id", "connection", "type", "resource", "resource_id", "event")
    return {name: shown[name] for name in kept if name in shown}


def listed_event_object(event: ListedEvent, *, person: bool = False) -> JsonObject:
    """An event as a list shows it: what visibility knows; with `person`, who it is about too."""
    return {
        "id": event.event_id,
        "type": "event",
        "workspace": event.workspace,
        "event": event.event or "",
        "resource": event.resource or "global",
        "status": event.status,
        "total_rules": len(event.rules),
        "started_at": moment(event.accepted_at),
        **present(
            next_attempt_at=moment(event.next_attempt_at) if event.next_attempt_at else None,
            completed_at=moment(event.closed_at) if event.closed_at else None,
            headline=headline_of_failures(event.failures),
            person=event.person if person else None,
        ),
        "created_by": event.created_by or UNSAID,
        "created_at": moment(event.accepted_at),
    }


def event_object(log: EventLog, *, payload: bool = False) -> JsonObject:
    """One event with its deliveries as `rule_events`."""
    return {
        "id": log.event_id,
        "type": "event",
        "workspace": log.workspace or "",
        "event": log.event or "",
        "resource": log.resource or "global",
        **present(resource_id=log.resource_id),
        "status": log.status,
        "total_rules": log.total_rules,
        "completed_count": log.completed_count,
        "failed_count": log.failed_count,
        "started_at": moment(log.accepted_at),
        **present(completed_at=moment(log.completed_at) if log.completed_at else None),
        **present(error=log.error, test=log.test or None),
        **present(source=log.source.model_dump() if log.source else None),
        "created_by": log.created_by or UNSAID,
        "created_at": moment(log.accepted_at),
        "rule_events": [rule_event_object(log, delivery) for delivery in log.deliveries],
        **present(payload=(log.payload or {}) if payload else None),
    }


def event_detail_object(log: EventLog) -> JsonObject:
    """Show also the payload and all that the log knows: requests, answers, every attempt."""
    return {**log.model_dump(mode="json"), **event_object(log, payload=True)}


def rule_event_object(log: EventLog, delivery: DeliveryLog) -> JsonObject:
    """One delivery: one event × one rule."""
    return {
        "id": delivery_id(log.event_id, delivery.rule),
        "type": "rule",
        "workspace": log.workspace or "",
        "event": log.event or "",
        "event_id": log.event_id,
        "resource": log.resource or "global",
        **present(resource_id=log.resource_id),
        "connection": delivery.connection,
        "connection_name": delivery.connection_name,
        "rule": delivery.rule,
        "integration_type": delivery.integration_type,
        "status": delivery.status,
        "attempt_count": delivery.attempt_count,
        **present(
            started_at=moment(delivery.started_at) if delivery.started_at else None,
            completed_at=moment(delivery.completed_at) if delivery.completed_at else None,
            last_error=delivery.last_error,
            headline=headline_of(delivery),
            held=delivery.held,
        ),
        "warnings": list(delivery.warnings),
        "identify": call_object(delivery.identify),
        "track": call_object(delivery.track),
        **present(send=call_object(delivery.send)),
        "created_by": log.created_by or UNSAID,
        "created_at": moment(log.accepted_at),
    }


def call_object(call: CallLog | None) -> JsonObject | None:
    """Show one of a delivery's calls by its last attempt; None if it was never sent."""
    if call is None:
        return None
    return {
        "outcome_code": call.outcome_code,
        "status_code": call.status_code,
        "response_excerpt": call.response_excerpt,
        "attempt_count": call.attempt_count,
        "next_attempt_at": moment(call.next_attempt_at) if call.next_attempt_at else None,
        "in_flight": call.in_flight,
    }


def response_object(attempt: Attempt | None) -> JsonObject | None:
    """What an attempt was answered; None when it was not."""
    if attempt is None or attempt.status_code is None:
        return None
    return {"status_code": attempt.status_code, "body": attempt.response_excerpt or ""}


def delivery_id(event_id: str, rule_id: str) -> str:
    """Return the id of a delivery: a UUID made of its event's and its rule's, always the same."""
    return str(uuid.uuid5(uuid.UUID(event_id), rule_id))


def page_object(
    records: list[JsonObject], limit: int, next_cursor: str | None = None
) -> JsonObject:
    """One page of a list. The last one has no cursor."""
    return {
        "count": len(records),
        "limit": limit,
        "next_cursor": next_cursor,
        "records": records,
    }


def moment(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def present(**fields: Any) -> JsonObject:
    """The fields that are not None: what is absent is left out."""
    return {name: value for name, value in fields.items() if value is not None}
