"""One delivery: list its attempts, make the next one now, or cancel it."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

from catalog.embed_sessions import RESOURCE, WORKSPACE
from catalog.scopes import OPERATE, PAYLOAD
from delivery.attempt import Attempt as Made
from delivery.delivery_log import DeliveryLog
from delivery.opaque_cursor import InvalidCursor, read_cursor, write_cursor
from eventlog.log import EventLog
from operations.steering import cancel_delivery as cancel_in_engine
from starter.api.auth import Caller
from starter.api.dependencies import Dependencies
from starter.api.describing import errors
from starter.api.errors import ApiError, not_found, unavailable
from starter.api.queries import DEFAULT_LIMIT, Cursor, Limit, PathId
from starter.api.reading import OwnEvent, read_own_event
from starter.api.retrying import retry
from starter.api.routing import ApiDependencies, Called, embeddable, management_router, needs
from starter.api.schemas.events import Attempt, AttemptPage, ResponseDetails, RuleEvent
from starter.api.time_limit import time_limit
from starter.json_objects import (
    JsonObject,
    moment,
    page_object,
    present,
    response_object,
    rule_event_object,
)

# A worker takes a cancellation at once, or after the request in flight: 10 seconds at most.
CANCEL_SECONDS = 15.0

router = management_router("Deliveries")


@router.post(
    "/events/{event_id}/rules/{rule_id}/retry",
    response_model=RuleEvent,
    summary="Make the next attempt now",
    responses=errors(404, 409, 425),
)
@needs(OPERATE)
@embeddable(WORKSPACE, RESOURCE)
async def retry_delivery(
    parts: ApiDependencies, caller: Called, event_id: PathId, rule_id: PathId
) -> Any:
    """Bring a waiting delivery's next attempt forward, or deliver again one that has failed.

    Earlier attempts stay on record. 425: an attempt is in flight, or due within 5 seconds. 409: it
    was delivered or canceled, waits for its connection, or others of its event are still open.
    """
    own, delivery = await _own_delivery(parts, caller, event_id, rule_id)
    await retry(parts, caller, own, delivery.rule)
    return await _delivery_object(parts, caller, event_id, rule_id)


@router.post(
    "/events/{event_id}/rules/{rule_id}/cancel",
    response_model=RuleEvent,
    summary="Cancel one rule's delivery",
    responses=errors(404, 409),
)
@needs(OPERATE)
@embeddable(WORKSPACE, RESOURCE)
async def cancel_delivery(
    parts: ApiDependencies, caller: Called, event_id: PathId, rule_id: PathId
) -> Any:
    """A request in flight finishes and is recorded; no new one is made."""
    own, delivery = await _own_delivery(parts, caller, event_id, rule_id)
    async with time_limit(CANCEL_SECONDS, _no_worker_canceled):
        await cancel_in_engine(parts.client, own.log.event_id, delivery.rule)
    return await _delivery_object(parts, caller, event_id, rule_id)


@router.get(
    "/events/{event_id}/rules/{rule_id}/attempts",
    response_model=AttemptPage,
    summary="A delivery's attempts, in the order they were made",
    responses=errors(400, 404),
)
@embeddable(WORKSPACE, RESOURCE)
async def list_attempts(
    parts: ApiDependencies,
    caller: Called,
    event_id: PathId,
    rule_id: PathId,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Any:
    """Of each call the first 10 and the last 40 are kept; `left_out` counts those between."""
    own, delivery = await _own_delivery(parts, caller, event_id, rule_id)
    after = _place_of(cursor) if cursor is not None else None
    made = [one for one in _made(delivery) if after is None or _place(one) > after]
    shown = [_attempt_object(own.log, delivery, one) for one in made[:limit]]
    next_cursor = _cursor(made[limit - 1]) if len(made) > limit else None
    left_out = sum(call.attempts_left_out for call in delivery.calls)
    return {**page_object(shown, limit, next_cursor), "left_out": left_out}


@router.get(
    "/events/{event_id}/rules/{rule_id}/attempts/{attempt_id}",
    response_model=Attempt,
    summary="One attempt",
    responses=errors(404),
)
@embeddable(WORKSPACE, RESOURCE)
async def get_attempt(
    parts: ApiDependencies,
    caller: Called,
    event_id: PathId,
    rule_id: PathId,
    attempt_id: PathId,
) -> Any:
    own = await _own_attempt(parts, caller, event_id, rule_id, attempt_id)
    return _attempt_object(*own)


@router.get(
    "/events/{event_id}/rules/{rule_id}/attempts/{attempt_id}/response-details",
    response_model=ResponseDetails,
    summary="What an attempt sent and what came back",
    responses=errors(404),
)
@needs(PAYLOAD)
@embeddable(WORKSPACE, RESOURCE)
async def get_response_details(
    parts: ApiDependencies,
    caller: Called,
    event_id: PathId,
    rule_id: PathId,
    attempt_id: PathId,
) -> Any:
    log, delivery, attempt = await _own_attempt(parts, caller, event_id, rule_id, attempt_id)
    # Byte-identical on every attempt of a call.
    request = next(call.request for call in delivery.calls if call.call == attempt.call)
    return {
        "attempt_id": _attempt_id(log, delivery, attempt),
        "outcome_code": attempt.outcome_code,
        "message": attempt.message,
        "request": {"body": request},
        "response": response_object(attempt),
    }


# When an attempt was made, its call and number. What comes later never stands before it.
Place = tuple[str, str, int]
_PLACE = TypeAdapter(Place)


def _place(attempt: Made) -> Place:
    return attempt.started_at.isoformat(), attempt.call, attempt.number


def _cursor(attempt: Made) -> str:
    return write_cursor(_PLACE.dump_json(_place(attempt)).decode())


def _place_of(cursor: str) -> Place:
    """Raises `InvalidCursor`."""
    try:
        return _PLACE.validate_json(read_cursor(cursor), strict=True)
    except ValidationError:
        raise InvalidCursor from None


def _made(delivery: DeliveryLog) -> list[Made]:
    return sorted((made for call in delivery.calls for made in call.attempts), key=_place)


def _attempt_id(log: EventLog, delivery: DeliveryLog, attempt: Made) -> str:
    """A UUID made of event, rule, call and number: the same each time."""
    name = f"{delivery.rule}|{attempt.call}|{attempt.number}"
    return str(uuid.uuid5(uuid.UUID(log.event_id), name))


def _attempt_object(log: EventLog, delivery: DeliveryLog, attempt: Made) -> JsonObject:
    id = _attempt_id(log, delivery, attempt)
    ended_at = attempt.started_at + timedelta(milliseconds=attempt.duration_ms)
    next_at = attempt.next_attempt_at
    return {
        "id": id,
        "attempt_id": id,
        "event_id": log.event_id,
        "rule": delivery.rule,
        "connection": delivery.connection,
        "call": attempt.call,
        "number": attempt.number,
        "started_at": moment(attempt.started_at),
        "completed_at": moment(ended_at),
        "duration_ms": attempt.duration_ms,
        "outcome_code": attempt.outcome_code,
        "request_made": True if attempt.status_code else attempt.request_made,
        "message": attempt.message,
        **present(
            status_code=attempt.status_code,
            error_code=attempt.error_code,
            error_field=attempt.error_field,
            next_attempt_at=moment(next_at) if next_at else None,
        ),
    }


async def _own_delivery(
    parts: Dependencies, caller: Caller, event_id: str, rule_id: str
) -> tuple[OwnEvent, DeliveryLog]:
    own = await read_own_event(parts, caller, event_id)
    return own, own.delivery(rule_id)


async def _own_attempt(
    parts: Dependencies, caller: Caller, event_id: str, rule_id: str, attempt_id: str
) -> tuple[EventLog, DeliveryLog, Made]:
    own, delivery = await _own_delivery(parts, caller, event_id, rule_id)
    for made in _made(delivery):
        if _attempt_id(own.log, delivery, made) == attempt_id.lower():
            return own.log, delivery, made
    raise not_found("attempt_id", "attempt of this delivery")


async def _delivery_object(
    parts: Dependencies, caller: Caller, event_id: str, rule_id: str
) -> JsonObject:
    own, delivery = await _own_delivery(parts, caller, event_id, rule_id)
    return rule_event_object(own.log, delivery)


def _no_worker_canceled() -> ApiError:
    return unavailable("no worker has accepted the cancellation in time: try again")
