"""What can be connected, and how failed deliveries are retried: the same for everyone."""

from __future__ import annotations

from typing import Any

from catalog.embed_sessions import RESOURCE, WORKSPACE
from delivery.outcome import (
    BACKOFF_FACTOR,
    BACKOFF_FIRST,
    BACKOFF_JITTER,
    BACKOFF_LONGEST,
    DELIVERY_DEADLINE,
    RETRY_AFTER_LONGEST,
    RETRY_AFTER_SHORTEST,
)
from destinations.destination import Action, Destination, Field
from destinations.registry import BY_TYPE
from operations.steering import IMMINENT
from starter.api.describing import errors
from starter.api.queries import DEFAULT_LIMIT
from starter.api.routing import ApiDependencies, embeddable, management_router
from starter.api.schemas.integrations import Integration, RetryPolicy
from starter.api.schemas.shared import Page
from starter.json_objects import page_object, present
from starter.known_destinations import offered_destinations

SHOWN_ATTEMPTS = 15

router = management_router("Integrations")


@router.get(
    "/integrations",
    response_model=Page[Integration],
    summary="What can be connected",
    responses=errors(),
)
@embeddable(WORKSPACE, RESOURCE)
async def list_integrations(parts: ApiDependencies) -> Any:
    """Lists the destinations that every running worker can deliver to."""
    offered = await offered_destinations(parts.catalog)
    return page_object([integration_object(one) for one in offered], DEFAULT_LIMIT)


def integration_object(destination: Destination) -> dict[str, Any]:
    return {
        "name": destination.label,
        "type": destination.type,
        "authentication": {
            "type": destination.authentication,
            "fields": [_field(one) for one in destination.fields],
        },
        "actions": {action.key: _action(action, destination) for action in destination.actions},
    }


def _field(field: Field) -> dict[str, Any]:
    other, values = field.only_with or (None, ())
    depends_on = {"field": other, "value": list(values)} if other else None
    return {
        "label": field.label,
        "key": field.key,
        "type": "text" if field.kind == "textarea" else field.kind,
        **present(helpText=field.help or None),
        **_value(field),
        **present(dependsOn=depends_on),
    }


def _value(field: Field) -> dict[str, Any]:
    options = [{"label": one.label, "value": one.value} for one in field.options]
    return {
        "required": field.required,
        **present(defaultValue=field.default, options=options or None),
    }


def _action(action: Action, destination: Destination) -> dict[str, Any]:
    return {
        "key": action.key,
        "label": action.label,
        "noun": action.noun,
        "data": [_input(one) for one in action.inputs],
        "fields": [one.key for one in destination.mapping_fields],
        "display": {"label": action.label, "description": action.description},
    }


def _input(field: Field) -> dict[str, Any]:
    return {
        # Meshes' word for what is chosen from live items.
        "kind": "simple" if field.live else "field",
        "key": field.key,
        "field": field.key,
        "label": field.label,
        "type": field.kind,
        **present(**{"from": field.live}, description=field.help or None),
        **_value(field),
    }


@router.get(
    "/retry-policy",
    response_model=RetryPolicy,
    summary="What is retried, when, and for how long",
    responses=errors(),
)
@embeddable(WORKSPACE, RESOURCE)
async def get_retry_policy() -> Any:
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
        "action_deadlines": [
            {
                "type": one.type,
                "action": action.key,
                "deadline_seconds": action.deadline.total_seconds(),
            }
            for one in BY_TYPE.values()
            for action in one.actions
            if action.deadline != DELIVERY_DEADLINE
        ],
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
