"""Accept events: read one whole, then start it; once Temporal stores the start, it is accepted."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from pydantic import JsonValue

from catalog.api_key_rights import WIDEST
from delivery.errors import InvalidEvent
from delivery.event import read_event
from emitonce import EmitError, EventHandle, InvalidSetup, NotAccepted
from emitonce.start import KeyNamespace
from starter.api.auth import Authentication, Caller
from starter.api.bodies import as_model
from starter.api.dependencies import Dependencies
from starter.api.embedding import require_resource
from starter.api.errors import (
    ApiError,
    Fault,
    as_api_error,
    bad_request,
    forbidden,
    unavailable,
)
from starter.api.quotas import QuotaCheck
from starter.api.schemas.events import EventInput
from starter.api.time_limit import time_limit
from starter.json_objects import JsonObject, moment

MOST_EVENTS = 100
ACCEPT_SECONDS = 4.0  # Meshes' clients give up after 5
BATCH_SECONDS = 10.0
AT_ONCE = 10

_NIL = "00000000-0000-0000-0000-000000000000"

log = structlog.get_logger("starter.api")


@dataclass(frozen=True)
class NewEvent:
    """An event that was read and checked, for a workspace that the caller may emit into."""

    workspace: str
    event: str
    payload: JsonObject
    resource: str
    resource_id: str | None
    timestamp: str | None


class Accepting:
    """Accepts events. Writes nothing to the database and, once a key is known, reads nothing."""

    def __init__(
        self, parts: Dependencies, authentication: Authentication, quotas: QuotaCheck
    ) -> None:
        self._starter = parts.event_starter()
        self._authentication = authentication
        self.quotas = quotas

    async def one(self, value: JsonValue, caller: Caller, key: str | None, size: int) -> JsonObject:
        """Accept one event, sent in a body of `size` bytes; return it as it was created.

        Raises:
            ApiError, InvalidEvent, EmitError, CatalogUnavailable: nothing was stored.
        """
        event = await self._read(value, caller)
        await self.quotas.count(caller, [event.workspace], size)
        async with time_limit(ACCEPT_SECONDS, _no_answer):
            return await self._start(event, caller, key)

    async def many(self, value: JsonValue, caller: Caller, key: str | None, size: int) -> list[Any]:
        """Accept a batch. Return, in its order, each created event, or the `ApiError` that stopped
        it.

        All are read before the first is started. An idempotency key stands for the whole batch: if
        a later batch with the same key differs anywhere, none of it is started.

        Raises:
            ApiError: 400 if `value` isn't a batch; 429 if quotas don't allow all of it; 503 if
                nothing could be stored.
            IdempotencyConflict: the key came with another batch before.
        """
        if not isinstance(value, list) or not 1 <= len(value) <= MOST_EVENTS:
            raise bad_request("body", f"must be a JSON array of 1 to {MOST_EVENTS} events")
        read = [await self._read_or_error(item, caller) for item in value]
        events = [event for event in read if isinstance(event, NewEvent)]
        await self.quotas.count(caller, [event.workspace for event in events], size)
        batch = b""
        if key is not None:
            batch = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        async with time_limit(BATCH_SECONDS, _no_answer):
            started = await self._start_all(events, caller, key, batch)
        if events and all(isinstance(one, NotAccepted | InvalidSetup) for one in started):
            raise started[0]
        results = iter(started)
        found = [next(results) if isinstance(one, NewEvent) else one for one in read]
        return [
            (as_api_error(one) or _no_answer()) if isinstance(one, Exception) else one
            for one in found
        ]

    async def _start_all(
        self, events: list[NewEvent], caller: Caller, key: str | None, batch: bytes
    ) -> list[Any]:
        """Start each event under a key of its own, made from `key`, which stands for the batch."""
        room = asyncio.Semaphore(AT_ONCE)

        async def start(index: int, event: NewEvent) -> JsonObject | Exception:
            # No header can hold a NUL, so no key of a single event is ever the same.
            of_event = None if key is None else f"\0batch\0{index}\0{key}"
            async with room:
                try:
                    return await self._start(event, caller, of_event, batch)
                except EmitError as err:
                    return err

        first = []
        if key is not None and events:
            # Its start shows whether the key already stands for another batch.
            first = [await start(0, events[0])]
            if isinstance(first[0], Exception):
                raise first[0]
        rest = list(enumerate(events))[len(first) :]
        return [*first, *await asyncio.gather(*(start(*item) for item in rest))]

    async def _start(
        self, event: NewEvent, caller: Caller, key: str | None, batch: bytes = b""
    ) -> JsonObject:
        try:
            handle = await self._starter.start(
                event.workspace,
                event.event,
                event.payload,
                resource=event.resource,
                resource_id=event.resource_id,
                timestamp=event.timestamp,
                idempotency_key=key,
                namespace=_namespace(caller) if key is not None else None,
                source=_source(caller),
                batch=batch,
                created_by=caller.key,
                hops=caller.hops,
            )
        except (NotAccepted, InvalidSetup) as err:
            # The caller can't fix it, so it is logged. Temporal's message repeats no payload.
            say = log.error if isinstance(err, InvalidSetup) else log.warning
            say("Temporal did not accept an event", reason=str(err))
            raise
        return _created(event, handle, caller)

    async def _read_or_error(self, value: JsonValue, caller: Caller) -> NewEvent | ApiError:
        try:
            return await self._read(value, caller)
        except (ApiError, InvalidEvent) as err:
            return as_api_error(err) or _no_answer()

    async def _read(self, value: JsonValue, caller: Caller) -> NewEvent:
        given = as_model(value, EventInput)
        workspace = given.workspace or caller.workspace
        if workspace is None:
            raise bad_request("workspace", "is required with a machine token: give its id")
        workspace = await self._authentication.require_workspace(
            caller, workspace, "workspace", unchecked=True
        )
        fields: dict[str, JsonValue] = {
            "workspace": workspace,
            "event": given.event,
            "payload": given.payload,
            "resource": given.resource,
            "resource_id": given.resource_id,
            "timestamp": given.timestamp,
        }
        # As the workflow will read it, so that what it would refuse is refused now.
        event = read_event(fields, event_id=_NIL, started_at=datetime.now(UTC), checked=True)
        if caller.publishable is not None and not caller.publishable.rights.may_emit(event.event):
            raise forbidden("event", "is not one of the events that this publishable key may emit")
        require_resource(caller.session, event.resource, event.resource_id)
        return NewEvent(
            workspace=workspace,
            event=event.event,
            payload=given.payload,
            resource=event.resource,
            resource_id=event.resource_id,
            timestamp=given.timestamp,
        )


def _namespace(caller: Caller) -> KeyNamespace | None:
    """Return the namespace of idempotency keys of a publishable key, or of an embedded session.

    None for a machine key, which shares the workspace's with those who emit through Temporal.
    """
    if caller.session is not None:
        return KeyNamespace(id=caller.key, creators=frozenset((caller.key,)))
    known = caller.publishable
    if known is None:
        return None
    return KeyNamespace(
        id=known.namespace,
        creators=known.sharing,
        shared=known.may_meet_older_api(),
        looks_back=known.may_find_older_events(),
    )


def _source(caller: Caller) -> dict[str, str] | None:
    """Describe the source of an event that a browser may have sent; None if a backend sent it."""
    if not caller.is_browser:
        return None
    rights = caller.publishable.rights if caller.publishable else WIDEST
    return {"kind": "publishable", "key": caller.key, "identify": rights.identify}


def _created(event: NewEvent, handle: EventHandle, caller: Caller) -> JsonObject:
    created: JsonObject = {
        "id": handle.id,
        "event": event.event,
        "type": "event",
        "resource": event.resource,
        "workspace": event.workspace,
        "created_by": caller.key,
        "created_at": moment(handle.accepted_at or datetime.now(UTC)),
    }
    if event.resource_id is not None:
        created["resource_id"] = event.resource_id
    return created


def _no_answer() -> ApiError:
    error = unavailable(
        "Temporal has not answered in time, so whether the event is stored is not known: send it "
        "again, with the same Idempotency-Key if it had one"
    )
    return ApiError(error.status, error.message, (Fault("body", error.message),), error.headers)
