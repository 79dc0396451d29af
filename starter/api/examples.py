"""An example for every operation of the OpenAPI document. All of them speak of one event."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from destinations.registry import BY_TYPE
from starter.api.routes.integrations import ANSWERS, integration_object
from starter.api.routes.mappings import catalog_version, field_objects
from starter.api.routes.rule_trials import SAMPLE_PAYLOAD


@dataclass(frozen=True)
class Example:
    """`answers` by status."""

    answers: dict[int, Any] = field(default_factory=dict)
    request: Any = None


WORKSPACE = "3f8e1c52-6b0d-4f1a-9c37-5d2e8a4b7c61"
CONNECTION = "b5b9f0f4-4f4e-4f0c-8d4b-0a2f6c1d9e73"
RULE = "9d3a7c1e-2b64-4c8f-a1d5-7e0f3b9c6a28"
EVENT = "5f0c6a1e-3c1b-4d7e-9a51-0d6f2b8c7e44"
DELIVERY = "c2f5a3d8-71b0-5e6c-8f94-1a7d3e9b0c52"
ATTEMPT = "e81d4b6a-0c97-5f3e-a2b8-6d5c9f1e7a30"
KEY = "7a1e9d3c-58f2-4b06-9e8d-c4f7b2a1d095"
REDELIVERED = "4c9b7e21-6d3f-8a05-b1e8-2f7c6a9d4b13"
RUN = "01a20f78-ecea-7c9d-97b4-b48b1a5d4410"
AT = "2026-11-23T18:00:00.000Z"
SOON = "2026-11-23T18:00:00.184Z"

PAGE = {"limit": 50, "next_cursor": None}
STAMPS = {"created_at": AT, "updated_at": AT}

NEW_EVENT = {"event": "user.signup", "payload": SAMPLE_PAYLOAD, "workspace": WORKSPACE}
CREATED = {
    "id": EVENT,
    "event": "user.signup",
    "type": "event",
    "resource": "global",
    "workspace": WORKSPACE,
    "created_by": KEY,
    "created_at": AT,
}
LISTED = {
    **CREATED,
    "status": "completed",
    "total_rules": 1,
    "started_at": AT,
    "completed_at": SOON,
}
CALL = {
    "outcome_code": "delivered",
    "status_code": 200,
    "response_excerpt": '{"success": true}',
    "attempt_count": 1,
    "next_attempt_at": None,
    "in_flight": False,
}
RULE_EVENT = {
    "id": DELIVERY,
    "type": "rule",
    "workspace": WORKSPACE,
    "event": "user.signup",
    "event_id": EVENT,
    "resource": "global",
    "connection": CONNECTION,
    "connection_name": "Customer io",
    "rule": RULE,
    "integration_type": "customer_io",
    "status": "completed",
    "attempt_count": 2,
    "started_at": AT,
    "completed_at": SOON,
    "warnings": [],
    "identify": CALL,
    "track": CALL,
    "created_by": KEY,
    "created_at": AT,
}
CANCELED = {**RULE_EVENT, "status": "canceled", "last_error": "canceled", "track": None}
EVENT_VIEW = {
    **LISTED,
    "completed_count": 1,
    "failed_count": 0,
    "rule_events": [RULE_EVENT],
}
MADE = {
    "id": ATTEMPT,
    "attempt_id": ATTEMPT,
    "event_id": EVENT,
    "rule": RULE,
    "connection": CONNECTION,
    "call": "identify",
    "number": 1,
    "started_at": AT,
    "completed_at": SOON,
    "duration_ms": 184,
    "outcome_code": "rejected_server_error",
    "request_made": True,
    "status_code": 503,
    "message": "503: the server could not answer",
    "next_attempt_at": "2026-11-23T18:00:01.090Z",
}
IDENTIFY = {
    "userId": "usr_2048",
    "traits": {name: value for name, value in SAMPLE_PAYLOAD.items() if name != "userId"},
    "timestamp": AT,
    "messageId": "01KASVQ1G0Y3TQ6Z5M8W2K4N7R",
}
TRACK = {
    "userId": "usr_2048",
    "event": "Signed Up",
    "timestamp": AT,
    "messageId": "01KASVQ1G0B7H2D9V4X6C8P3EF",
}
SHOWN_RULE = {
    "id": RULE,
    "connection": CONNECTION,
    "workspace": WORKSPACE,
    "type": "customer_io",
    "event": "user.signup",
    "metadata": {"action": "track_event", "event_name_override": "Signed Up"},
    "active": True,
    "hidden": False,
    "created_by": KEY,
    **STAMPS,
}
SHOWN_CONNECTION = {
    "id": CONNECTION,
    "workspace": WORKSPACE,
    "type": "customer_io",
    "name": "Customer io",
    "metadata": {"region": "us"},
    "active": True,
    "status": "active",
    "hidden": False,
    "created_by": KEY,
    **STAMPS,
}
SELECTION = {
    "workspace": WORKSPACE,
    "accepted_from": AT,
    "accepted_to": "2026-11-23T20:00:00.000Z",
    "as_of": "2026-11-23T20:00:00.000Z",
    "mode": "failed",
}
PLAN = {
    "id": REDELIVERED,
    "selection": SELECTION,
    "matched": 1,
    "exact": True,
    "sample": [{**LISTED, "status": "failed"}],
}
REDELIVERY = {
    "id": REDELIVERED,
    "state": "running",
    "selection": SELECTION,
    "started_at": AT,
    "ended_at": None,
    "progress": {
        "planned": 1,
        "planned_exact": True,
        "redelivered": 1,
        "skipped": 0,
        "latest": [
            {"event_id": EVENT, "outcome": "redelivered", "run_id": RUN, "status": "completed"}
        ],
        "latest_skipped": [],
    },
    "result": {
        "delivered": 1,
        "failed_again": 0,
        "canceled": 0,
        "under_way": 0,
        "redelivered_since": 0,
        "unknown": 0,
        "exact": True,
    },
}
SHOWN_WORKSPACE = {"id": WORKSPACE, "name": "Acme app", "description": None, **STAMPS}
SHOWN_KEY = {
    "id": KEY,
    "workspace": WORKSPACE,
    "public_key": "mesh_pub_3f8e1c52_Xb2kR7nQ_m4Ys0GdPzV8cHf1LwTu6JaEoK9iN3rBx",
    "name": "Shop",
    "events": ["page.viewed"],
    "origins": ["https://shop.example.com"],
    "identify": "anonymous",
    "kept_wide": False,
    "created_by": KEY,
    "created_at": AT,
    "revoked_at": None,
}
ENTRY = {
    "id": DELIVERY,
    "key": "user.signup",
    "label": "user.signup",
    "description": None,
    "active": True,
    "created_by": KEY,
    **STAMPS,
}
SCHEMA = {
    "schema_version": 1,
    "fields": [
        {"dest": "userId", "source": {"type": "path", "value": "user.id"}},
        {
            "dest": "email",
            "source": {"type": "path", "value": "user.email"},
            "transforms": [{"type": "trim"}, {"type": "lower"}],
            "on_error": "skip_field",
        },
    ],
}
MAPPING = {
    "status": "stored",
    "mapping": {
        "id": DELIVERY,
        "mapping_id": ATTEMPT,
        "version": 1,
        "workspace_id": WORKSPACE,
        "connection_id": CONNECTION,
        "integration_type": "customer_io",
        "name": "Default mapping",
        "schema": SCHEMA,
        "catalog_version": catalog_version(BY_TYPE["customer_io"]),
        "created_by": KEY,
        **STAMPS,
    },
}
FIELD_CATALOG = {
    "id": DELIVERY,
    "workspace_id": WORKSPACE,
    "connection_id": CONNECTION,
    "integration_type": "customer_io",
    "catalog_version": catalog_version(BY_TYPE["customer_io"]),
    "refreshed_at": AT,
    "created_by": KEY,
    **STAMPS,
    "fields": field_objects(BY_TYPE["customer_io"]),
}
RETRY_POLICY = {
    "backoff": {"first_seconds": 1, "factor": 2, "longest_seconds": 900, "jitter": 0.2},
    "waits_seconds": [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900],
    "deadline_seconds": 259_200,
    "most_attempts": None,
    "retry_after": {"shortest_seconds": 1, "longest_seconds": 3_600},
    "imminent_seconds": 5,
    "answers": ANSWERS,
}
TEST_RESULT = {
    "event_id": EVENT,
    "status": "completed",
    "finished": True,
    "rule_event": RULE_EVENT,
    **{
        call: {
            "request": request,
            "response": {"status_code": 200, "body": '{"success": true}'},
            "outcome_code": "delivered",
            "message": "accepted with 200",
            "duration_ms": 84,
        }
        for call, request in (("identify", IDENTIFY), ("track", TRACK))
    },
}


def _page(record: Any, **more: Any) -> Example:
    return Example({200: {"count": 1, **PAGE, "records": [record], **more}})


EXAMPLES: dict[str, Example] = {
    "emit_event": Example({201: {"event": CREATED}}, NEW_EVENT),
    "emit_events": Example(
        {201: {"count": 1, "error_count": 0, "records": [CREATED]}}, [NEW_EVENT]
    ),
    "list_events": _page(LISTED),
    "list_workspace_events": _page(LISTED),
    "get_event": Example({200: EVENT_VIEW}),
    "get_event_payload": Example({200: {**EVENT_VIEW, "payload": SAMPLE_PAYLOAD}}),
    "cancel_event": Example(
        {
            200: {
                **EVENT_VIEW,
                "status": "canceled",
                "completed_count": 0,
                "rule_events": [CANCELED],
            }
        }
    ),
    "retry_delivery": Example({200: {**RULE_EVENT, "status": "retrying"}}),
    "cancel_delivery": Example({200: CANCELED}),
    "list_attempts": _page(MADE, left_out=0),
    "get_attempt": Example({200: MADE}),
    "get_response_details": Example(
        {
            200: {
                "attempt_id": ATTEMPT,
                "outcome_code": "rejected_server_error",
                "message": "503: the server could not answer",
                "request": {"body": IDENTIFY},
                "response": {"status_code": 503, "body": "upstream connect error"},
            }
        }
    ),
    "list_rules": _page(SHOWN_RULE),
    "list_workspace_rules": _page(SHOWN_RULE),
    "create_rule": Example(
        {201: {"rule": SHOWN_RULE}},
        {
            "workspace": WORKSPACE,
            "connection": CONNECTION,
            "event": "user.signup",
            "metadata": {"action": "track_event", "event_name_override": "Signed Up"},
        },
    ),
    "get_rule": Example({200: SHOWN_RULE}),
    "update_rule": Example({200: {**SHOWN_RULE, "active": False}}, {"active": False}),
    "delete_rule": Example(
        {
            200: {
                "id": RULE,
                "connection": CONNECTION,
                "event": "user.signup",
                "type": "customer_io",
            }
        }
    ),
    "test_rule": Example({200: TEST_RESULT}, {"payload": SAMPLE_PAYLOAD}),
    "preview_rule": Example(
        {200: {"matches": True, "identify": IDENTIFY, "track": TRACK, "warnings": []}},
        {"payload": SAMPLE_PAYLOAD},
    ),
    "create_redelivery": Example({200: PLAN, 202: REDELIVERY}, SELECTION),
    "get_redelivery": Example({200: REDELIVERY}),
    "cancel_redelivery": Example({200: {**REDELIVERY, "state": "canceled", "ended_at": SOON}}),
    "list_connections": _page(SHOWN_CONNECTION),
    "list_workspace_connections": _page(SHOWN_CONNECTION),
    "create_connection": Example(
        {201: {"connection": SHOWN_CONNECTION}},
        {
            "workspace": WORKSPACE,
            "type": "customer_io",
            "name": "Customer io",
            "metadata": {"region": "us", "cdpApiKey": "cdp-api-key"},
        },
    ),
    "get_connection": Example({200: SHOWN_CONNECTION}),
    "update_connection": Example(
        {200: SHOWN_CONNECTION},
        {"name": "Customer io", "metadata": {"region": "us", "cdpApiKey": "new-cdp-api-key"}},
    ),
    "delete_connection": Example(
        {200: {"id": CONNECTION, "type": "customer_io"}}, {"force_delete": True}
    ),
    "pause_connection": Example(
        {
            200: {
                **SHOWN_CONNECTION,
                "active": False,
                "status": "paused",
                "inactive_reason": "manually_inactivated",
            }
        }
    ),
    "resume_connection": Example({200: SHOWN_CONNECTION}),
    "get_connection_actions": Example({200: {"track_event": {}}}),
    "get_connection_fields": Example({200: FIELD_CATALOG}),
    "get_default_mapping": Example({200: MAPPING}),
    "put_default_mapping": Example({200: MAPPING}, {"schema": SCHEMA, "expected_version": 0}),
    "list_workspaces": _page(SHOWN_WORKSPACE),
    "create_workspace": Example({201: {"workspace": SHOWN_WORKSPACE}}, {"name": "Acme app"}),
    "get_workspace": Example(
        {
            200: {
                **SHOWN_WORKSPACE,
                "publishable_key": {
                    "public_key": "mesh_pub_3f8e1c52_Qd8yT2mZ_w7Hc1VbN4kLpR9sXzA5eJ0gUtY6iMfDo",
                    "name": "Default",
                },
            }
        }
    ),
    "list_publishable_keys": Example({200: [SHOWN_KEY]}),
    "create_publishable_key": Example(
        {201: {"publishable_key": SHOWN_KEY}},
        {
            "name": "Shop",
            "events": ["page.viewed"],
            "origins": ["https://shop.example.com"],
            "identify": "anonymous",
        },
    ),
    "put_key_rights": Example(
        {200: SHOWN_KEY},
        {
            "events": ["page.viewed"],
            "origins": ["https://shop.example.com"],
            "identify": "anonymous",
        },
    ),
    "revoke_publishable_key": Example({200: {**SHOWN_KEY, "revoked_at": SOON}}),
    "update_workspace": Example({200: SHOWN_WORKSPACE}, {"name": "Acme app", "description": None}),
    "list_event_types": Example({200: [ENTRY]}),
    "list_resources": Example({200: [{**ENTRY, "key": "account", "label": "account"}]}),
    "list_integrations": _page(integration_object(BY_TYPE["customer_io"])),
    "get_retry_policy": Example({200: RETRY_POLICY}),
    "healthz": Example({200: {"status": "ok"}}),
    "readyz": Example({200: {"status": "ok", "temporal": "ok", "database": "ok"}}),
}
