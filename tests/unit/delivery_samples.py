"""An event, a rule and what they build, for the tests of the domain."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from delivery.attempt import Attempt, AttemptList, Call
from delivery.event import Event, read_event
from delivery.mapping_schema import MappingSchema
from delivery.message import Messages
from delivery.outcome import OutcomeCode
from delivery.rule import MatchedRule, RuleMetadata
from destinations.registry import build_messages

EVENT_ID = "5f0c6a1e-3c1b-4d7e-9a51-0d6f2b8c7e44"
WORKSPACE = "0b2f4c3e-6a5d-4f0e-9a55-8d0c7d3f0001"
RULE = "7d3c1a52-90b4-4a53-8f05-3d5f8a6b0001"
CONNECTION = "c1a2b3c4-d5e6-4f70-8a9b-0c1d2e3f0001"
NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
TIMESTAMP = "2026-11-23T18:00:00.000Z"

GOLDEN: dict[str, Any] = {
    "userId": "usr_2048",
    "email": "test@example.com",
    "first_name": "Test",
    "last_name": "User",
    "plan": "pro",
}


def event_fields(**changes: Any) -> dict[str, Any]:
    """The input of a workflow, as any backend would write it."""
    return {
        "workspace": WORKSPACE,
        "event": "user.signup",
        "payload": dict(GOLDEN),
        "timestamp": TIMESTAMP,
        **changes,
    }


def read(fields: Any, *, event_id: str = EVENT_ID) -> Event:
    """Read as the workflow does: from bytes."""
    data = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return read_event(data, event_id=event_id, started_at=NOW)


def event(payload: dict[str, Any] | None = None, **changes: Any) -> Event:
    if payload is not None:
        changes["payload"] = payload
    return read(event_fields(**changes))


def rule(
    *,
    id: str = RULE,
    mapping: MappingSchema | None = None,
    build: int = 1,
    type: str = "customer_io",
    **metadata: Any,
) -> MatchedRule:
    return MatchedRule(
        id=id,
        connection=CONNECTION,
        connection_name="Production",
        integration_type=type,
        metadata=RuleMetadata.model_validate({"action": "track_event", **metadata}),
        mapping=mapping,
        build=build,
    )


def rule_of(type: str, **metadata: Any) -> MatchedRule:
    """A rule of another destination; `metadata` may have an `id` of its own."""
    read = RuleMetadata.model_validate(metadata)
    return rule(type=type).model_copy(update={"metadata": read})


def mapping(*fields: dict[str, Any]) -> MappingSchema:
    """A stored mapping of these fields."""
    return MappingSchema.model_validate({"schema_version": 1, "fields": fields})


def path(dest: str, source: str, *transforms: dict[str, Any], **options: Any) -> dict[str, Any]:
    """A field of a mapping that takes a path of the payload."""
    return {
        "dest": dest,
        "source": {"type": "path", "value": source},
        "transforms": transforms,
        **options,
    }


def build(payload: dict[str, Any], **metadata: Any) -> Messages:
    """Both messages for a payload, under the default mapping unless `mapping` is given."""
    return build_messages(event(payload), rule(**metadata))


def traits_of(pair: Messages) -> dict[str, Any]:
    traits = pair.messages[0].body["traits"]
    assert isinstance(traits, dict)
    return traits


def attempt(number: int = 1, **changes: Any) -> Attempt:
    fields: dict[str, Any] = {
        "number": number,
        "call": "identify",
        "started_at": NOW,
        "duration_ms": 120,
        "outcome_code": OutcomeCode.REJECTED_SERVER_ERROR,
        "status_code": 503,
        "message": "503: the server could not answer",
    }
    return Attempt(**{**fields, **changes})


def attempts(count: int, *, call: Call = "identify", excerpt: str | None = None) -> AttemptList:
    """As many attempts as a call would have made, one after the other."""
    made = AttemptList()
    for _ in range(count):
        made = made.add(attempt(made.next_number(), call=call, response_excerpt=excerpt))
    return made
