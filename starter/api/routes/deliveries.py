"""One delivery: its attempts, the next one now, or none any more."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fastapi import Request

from delivery.attempt import Attempt as Made
from delivery.cursor import InvalidCursor, read_cursor, write_cursor
from delivery.delivery_log import CallLog, DeliveryLog
from delivery.result import Status
from eventlog.log import EventLog
from operations.redelivery import redeliver
from operations.steering import bring_forward
from operations.steering import cancel_delivery as cancel_in_engine
from starter.api.describing import errors
from starter.api.errors import not_found, unavailable
from starter.api.parts import Parts
from starter.api.queries import DEFAULT_LIMIT, AttemptId, Cursor, EventId, Limit, RuleId
from starter.api.reading import OwnEvent, read_own_event, wait_for_end
from starter.api.routing import management_router, organisation_of
from starter.api.schemas.events import Attempt, AttemptPage, ResponseDetails, RuleEvent
from starter.shapes import moment, rule_event_object

# A worker takes a cancellation at once, or after the request in flight: 10 seconds at most.
CANCEL_SECONDS = 15.0
CLOSING_SECONDS = 5.0
ENDED = (Status.COMPLETED, Status.FAILED, Status.CANCELED)

router = management_router("Deliveries")


@router.post(
    "/events/{event_id}/rules/{rule_id}/retry",
    response_model=RuleEvent,
    response_model_exclude_unset=True,
    summary="Make the next attempt now",
    responses=errors(404, 409, 425),
)
async def retry_delivery(request: Request, event_id: EventId, rule_id: RuleId) -> Any:
    """Bring a waiting delivery's next attempt forward, or deliver again one that has failed.

    Earlier attempts stay on record. 425: an attempt is in flight, or due within 5 seconds. 409: it
    was delivered or canceled, waits for its connection, or others of its event are still open.
    """
    own, delivery = await _own_delivery(request, event_id, rule_id)
    parts: Parts = request.app.state.parts
    client = parts.client
    if own.open and own.log.status in ENDED:
        # All its deliveries have ended, and so will the run, with its next task.
        await wait_for_end(client, own.log, CLOSING_SECONDS)
        own, delivery = await _own_delivery(request, event_id, rule_id)
    if own.open:
        await bring_forward(client, own.log.event_id, delivery.rule, task_queue=parts.task_queue)
    else:
        await redeliver(client, own.log.event_id, rules=[delivery.rule])
    return await _delivery_view(request, event_id, rule_id)


@router.post(
    "/events/{event_id}/rules/{rule_id}/cancel",
    response_model=RuleEvent,
    response_model_exclude_unset=True,
    summary="Cancel one rule's delivery",
    responses=errors(404, 409),
)
async def cancel_delivery(request: Request, event_id: EventId, rule_id: RuleId) -> Any:
    """A request in flight finishes and is recorded; no new one is made."""
    own, delivery = await _own_delivery(request, event_id, rule_id)
    client = request.app.state.parts.client
    try:
        async with asyncio.timeout(CANCEL_SECONDS) as limit:
            await cancel_in_engine(client, own.log.event_id, delivery.rule)
    except TimeoutError:
        if not limit.expired():
            raise
        raise unavailable("no worker has taken the cancellation in time: try again") from None
    return await _delivery_view(request, event_id, rule_id)


@router.get(
    "/events/{event_id}/rules/{rule_id}/attempts",
    response_model=AttemptPage,
    response_model_exclude_unset=True,
    summary="A delivery's attempts, in the order they were made",
    responses=errors(400, 404),
)
async def list_attempts(
    request: Request,
    event_id: EventId,
    rule_id: RuleId,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Any:
    """Of each call the first 10 and the last 40 are kept; `left_out` counts those between."""
    own, delivery = await _own_delivery(request, event_id, rule_id)
    after = _Place.decode(cursor) if cursor is not None else None
    made = [one for one in _made(own.log, delivery) if after is None or one.place > after]
    shown = made[:limit]
    return {
        "count": len(shown),
        "limit": limit,
        "next_cursor": shown[-1].place.encode() if len(made) > limit else None,
        "records": [one.view() for one in shown],
        "left_out": sum(call.attempts_left_out for call in _calls(delivery)),
    }


@router.get(
    "/events/{event_id}/rules/{rule_id}/attempts/{attempt_id}",
    response_model=Attempt,
    response_model_exclude_unset=True,
    summary="One attempt",
    responses=errors(404),
)
async def get_attempt(
    request: Request, event_id: EventId, rule_id: RuleId, attempt_id: AttemptId
) -> Any:
    return (await _own_attempt(request, event_id, rule_id, attempt_id)).view()


@router.get(
    "/events/{event_id}/rules/{rule_id}/attempts/{attempt_id}/response-details",
    response_model=ResponseDetails,
    response_model_exclude_unset=True,
    summary="What an attempt sent and what came back",
    responses=errors(404),
)
async def get_response_details(
    request: Request, event_id: EventId, rule_id: RuleId, attempt_id: AttemptId
) -> Any:
    return (await _own_attempt(request, event_id, rule_id, attempt_id)).details()


@dataclass(frozen=True, order=True)
class _Place:
    """Where an attempt stands in the list: what comes later never stands before it."""

    started_at: str
    call: str
    number: int

    def encode(self) -> str:
        parts = [self.started_at, self.call, self.number]
        return write_cursor(json.dumps(parts, separators=(",", ":")))

    @classmethod
    def decode(cls, token: str) -> _Place:
        """Raises `InvalidCursor`."""
        try:
            started_at, call, number = json.loads(read_cursor(token))
        except (ValueError, TypeError, RecursionError):
            raise InvalidCursor from None
        place = cls(started_at, call, number)
        if not isinstance(started_at, str) or not isinstance(call, str):
            raise InvalidCursor
        if not isinstance(number, int) or place.encode() != token:
            raise InvalidCursor
        return place


@dataclass(frozen=True)
class _OwnAttempt:
    event_id: str
    delivery: DeliveryLog
    call: CallLog
    attempt: Made

    @property
    def id(self) -> str:
        """A UUID made of event, rule, call and number: the same each time."""
        name = f"{self.delivery.rule}|{self.attempt.call}|{self.attempt.number}"
        return str(uuid.uuid5(uuid.UUID(self.event_id), name))

    @property
    def place(self) -> _Place:
        return _Place(self.attempt.started_at.isoformat(), self.attempt.call, self.attempt.number)

    def view(self) -> Mapping[str, Any]:
        attempt = self.attempt
        ended_at = attempt.started_at + timedelta(milliseconds=attempt.duration_ms)
        view: dict[str, Any] = {
            "id": self.id,
            "attempt_id": self.id,
            "event_id": self.event_id,
            "rule": self.delivery.rule,
            "connection": self.delivery.connection,
            "call": attempt.call,
            "number": attempt.number,
            "started_at": moment(attempt.started_at),
            "completed_at": moment(ended_at),
            "duration_ms": attempt.duration_ms,
            "outcome_code": attempt.outcome_code,
            "request_made": True if attempt.status_code else attempt.request_made,
            "message": attempt.message,
        }
        if attempt.status_code is not None:
            view["status_code"] = attempt.status_code
        if attempt.next_attempt_at is not None:
            view["next_attempt_at"] = moment(attempt.next_attempt_at)
        return view

    def details(self) -> Mapping[str, Any]:
        attempt = self.attempt
        response = None
        if attempt.status_code is not None:
            response = {
                "status_code": attempt.status_code,
                "body": attempt.response_excerpt or "",
            }
        return {
            "attempt_id": self.id,
            "outcome_code": attempt.outcome_code,
            "message": attempt.message,
            # Byte-identical on every attempt of a call.
            "request": {"body": self.call.request},
            "response": response,
        }


def _made(log: EventLog, delivery: DeliveryLog) -> list[_OwnAttempt]:
    made = [
        _OwnAttempt(log.event_id, delivery, call, attempt)
        for call in _calls(delivery)
        for attempt in call.attempts
    ]
    return sorted(made, key=lambda one: one.place)


def _calls(delivery: DeliveryLog) -> list[CallLog]:
    return list(delivery.calls)


async def _own_delivery(
    request: Request, event_id: str, rule_id: str
) -> tuple[OwnEvent, DeliveryLog]:
    parts: Parts = request.app.state.parts
    own = await read_own_event(parts, organisation_of(request), event_id)
    return own, own.delivery(rule_id)


async def _own_attempt(
    request: Request, event_id: str, rule_id: str, attempt_id: str
) -> _OwnAttempt:
    own, delivery = await _own_delivery(request, event_id, rule_id)
    for one in _made(own.log, delivery):
        if one.id == attempt_id.lower():
            return one
    raise not_found("attempt_id", "attempt of this delivery")


async def _delivery_view(request: Request, event_id: str, rule_id: str) -> Mapping[str, Any]:
    own, delivery = await _own_delivery(request, event_id, rule_id)
    return rule_event_object(own.log, delivery)
