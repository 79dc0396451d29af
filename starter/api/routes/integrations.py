"""What can be connected, and how failed deliveries are retried: the same for everybody."""

from __future__ import annotations

from typing import Any

from fastapi import Request

from delivery.outcome import (
    BACKOFF_FACTOR,
    BACKOFF_FIRST,
    BACKOFF_JITTER,
    BACKOFF_LONGEST,
    DELIVERY_DEADLINE,
    RETRY_AFTER_LONGEST,
    RETRY_AFTER_SHORTEST,
)
from operations.steering import IMMINENT
from starter.api.describing import errors
from starter.api.queries import DEFAULT_LIMIT
from starter.api.routing import management_router
from starter.api.schemas.integrations import Integration, RetryPolicy
from starter.api.schemas.shared import Page

CUSTOMER_IO: dict[str, Any] = {
    "name": "Customer.io",
    "type": "customer_io",
    "authentication": {
        "type": "api_key",
        "fields": [
            {
                "label": "Region",
                "key": "region",
                "type": "select",
                "helpText": "Where the Customer.io account is.",
                "required": True,
                "options": [
                    {"label": "United States", "value": "us"},
                    {"label": "European Union", "value": "eu"},
                ],
            },
            {
                "label": "CDP API key",
                "key": "cdpApiKey",
                "type": "password",
                "helpText": "Of an HTTP or server source in Customer.io's Data & Integrations.",
                "required": True,
            },
        ],
    },
    "actions": {
        "track_event": {
            "key": "track_event",
            "label": "Track event",
            "noun": "Event",
            "data": [
                {
                    "kind": "field",
                    "key": "event_name_override",
                    "field": "event_name_override",
                    "label": "Event name",
                    "type": "text",
                    "description": "The event's name at Customer.io, when it should differ.",
                    "required": False,
                }
            ],
            "fields": ["email", "userId", "anonymousId", "event_name_override"],
            "display": {
                "label": "Track event",
                "description": "Identify the person, then track the event.",
            },
        }
    },
}

SHOWN_ATTEMPTS = 15

router = management_router("Integrations")


@router.get(
    "/integrations",
    response_model=Page[Integration],
    response_model_exclude_unset=True,
    summary="What can be connected",
    responses=errors(),
)
async def list_integrations(request: Request) -> Any:
    return {"count": 1, "limit": DEFAULT_LIMIT, "next_cursor": None, "records": [CUSTOMER_IO]}


@router.get(
    "/retry-policy",
    response_model=RetryPolicy,
    summary="What is retried, when, and for how long",
    responses=errors(),
)
async def get_retry_policy(request: Request) -> Any:
    waits = [
        min(BACKOFF_FIRST * BACKOFF_FACTOR**number, BACKOFF_LONGEST).total_seconds()
        for number in range(SHOWN_ATTEMPTS)
    ]
    return {
        "backoff": {
            "first_seconds": BACKOFF_FIRST.total_seconds(),
            "factor": BACKOFF_FACTOR,
            "longest_seconds": BACKOFF_LONGEST.total_seconds(),
            "jitter": BACKOFF_JITTER,
        },
        "waits_seconds": waits,
        "deadline_seconds": DELIVERY_DEADLINE.total_seconds(),
        "most_attempts": None,
        "retry_after": {
            "shortest_seconds": RETRY_AFTER_SHORTEST.total_seconds(),
            "longest_seconds": RETRY_AFTER_LONGEST.total_seconds(),
        },
        "imminent_seconds": IMMINENT.total_seconds(),
        "answers": ANSWERS,
    }


ANSWERS: list[dict[str, str]] = [
    {"answer": "2xx", "outcome_code": "delivered", "then": "done"},
    {"answer": "408, 5xx", "outcome_code": "rejected_server_error", "then": "retry"},
    {"answer": "429", "outcome_code": "rate_limited", "then": "retry"},
    {"answer": "no answer in time", "outcome_code": "timeout", "then": "retry"},
    {"answer": "no connection", "outcome_code": "network_error", "then": "retry"},
    {"answer": "401, 403", "outcome_code": "auth_failed", "then": "hold"},
    {"answer": "any other status", "outcome_code": "rejected_client_error", "then": "stop"},
    {"answer": "no message can be built", "outcome_code": "mapping_error", "then": "stop"},
]
