"""Reading events: lists, one event, its payload; canceling one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Request

from catalog.embed_sessions import RESOURCE, WORKSPACE
from catalog.scopes import OPERATE, PAYLOAD
from catalog.values import read_id
from delivery.people import LONGEST_IDENTIFIER, PEOPLE
from delivery.reason import Reason
from delivery.result import Status
from emitonce.ids import person_hash, resource_id_hash
from eventlog.described import list_described
from eventlog.query import EventQuery
from operations.steering import cancel_event as cancel_in_engine
from starter.api.dependencies import Dependencies
from starter.api.describing import errors
from starter.api.embedding import listed, require_own_filters, within
from starter.api.errors import bad_request
from starter.api.queries import (
    DEFAULT_LIMIT,
    Cursor,
    FilterMoment,
    Limit,
    PathId,
    read_filter_moment,
)
from starter.api.reading import event_view, read_own_event, wait_for_end
from starter.api.routing import (
    ApiDependencies,
    Called,
    Organization,
    OwnWorkspace,
    caller_of,
    embeddable,
    management_router,
    needs,
)
from starter.api.schemas.events import EventPage, EventPayloadView, EventView
from starter.api.schemas.shared import EventStatus
from starter.json_objects import listed_event_object, moment, page_object, present

# How long an answer to a cancel waits to show its effect: a request in flight takes 10 at most.
CANCEL_SECONDS = 12.0

router = management_router("Events")

FilterId = Annotated[str | None, Query(json_schema_extra={"format": "uuid"}, max_length=64)]
FilterText = Annotated[str | None, Query(max_length=255)]
Tests = Literal["include", "exclude"]


class EventFilter:
    """What a list of events is narrowed down to. Names are compared as they are."""

    def __init__(
        self,
        request: Request,
        event: FilterText = None,
        resource: FilterText = None,
        resource_id: FilterText = None,
        person: Annotated[
            str | None,
            Query(
                max_length=LONGEST_IDENTIFIER,
                description="About this person: a user id, an e-mail address or an anonymous id. "
                "The page's `complete_from` says from when on none is missing. Needs the scope "
                "`payload`, too.",
            ),
        ] = None,
        status: Annotated[
            EventStatus | None,
            Query(
                description="`pending`, `processing` and `retrying` each give all events that "
                "are still open; the page's `note` says so."
            ),
        ] = None,
        connection: FilterId = None,
        rule: FilterId = None,
        redelivery: Annotated[
            FilterId, Query(description="Started by that redelivery, and by nothing else since.")
        ] = None,
        reason: Annotated[
            FilterText,
            Query(description="Failed at `connection` for this reason, as an issue names it."),
        ] = None,
        accepted_from: Annotated[
            FilterMoment, Query(alias="from", description="Accepted then or later.")
        ] = None,
        accepted_to: Annotated[
            FilterMoment, Query(alias="to", description="Accepted before then.")
        ] = None,
        tests: Annotated[Tests, Query(description="`include` shows test events too.")] = "exclude",
    ) -> None:
        self._fields: dict[str, Any] = {
            "event": event,
            "resource": resource,
            "status": Status(status) if status is not None else None,
            "connection": _id("connection", connection),
            "rule": _id("rule", rule),
            "redelivery": _id("redelivery", redelivery),
            "reason": _reason(reason, connection),
            "accepted_from": read_filter_moment("from", accepted_from),
            "accepted_to": read_filter_moment("to", accepted_to),
            "include_tests": tests == "include",
        }
        self._resource_id = resource_id
        self.person = person
        caller = caller_of(request)
        self.shows_people = PAYLOAD in caller.scopes
        self.session = caller.session
        if person is not None:
            caller.require(PAYLOAD)

    def query(self, workspaces: tuple[str, ...], secret: bytes) -> EventQuery:
        hashed = None
        if self._resource_id is not None:
            hashed = resource_id_hash(secret, self._resource_id)
        people = () if self.person is None else _hashes(self.person, workspaces, secret)
        query = EventQuery(workspaces, resource_id_hash=hashed, people=people, **self._fields)
        return within(self.session, query, secret)


def _hashes(person: str, workspaces: tuple[str, ...], secret: bytes) -> tuple[str, ...]:
    return tuple(person_hash(secret, workspace, person) for workspace in workspaces)


def _id(param: str, text: str | None) -> str | None:
    if text is None:
        return None
    id = read_id(text)
    if id is None:
        raise bad_request(param, "is not a UUID")
    return str(id)


def _reason(text: str | None, connection: str | None) -> str | None:
    if text is None:
        return None
    if Reason.read(text) is None or connection is None:
        raise bad_request("reason", "must be an issue's, together with its `connection`")
    return text


@router.get(
    "/events",
    response_model=EventPage,
    summary="List the organization's events, newest first",
    responses=errors(400),
)
async def list_events(
    parts: ApiDependencies,
    organization: Organization,
    chosen: Annotated[EventFilter, Depends()],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Any:
    workspaces = await parts.catalog.workspaces.ids(organization)
    if not workspaces:
        return page_object([], limit)
    return await _page(parts, chosen, workspaces, limit, cursor)


@router.get(
    "/workspaces/{workspace_id}/events",
    response_model=EventPage,
    summary="List a workspace's events, newest first",
    responses=errors(400, 404),
)
@embeddable(WORKSPACE, RESOURCE)
async def list_workspace_events(
    parts: ApiDependencies,
    own: OwnWorkspace,
    chosen: Annotated[EventFilter, Depends()],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Any:
    return await _page(parts, chosen, (own,), limit, cursor)


async def _page(
    parts: Dependencies,
    chosen: EventFilter,
    workspaces: tuple[str, ...],
    limit: int,
    cursor: str | None,
) -> Any:
    query = chosen.query(workspaces, parts.instance_secret)
    await require_own_filters(parts.catalog, chosen.session, query)
    page = await list_described(parts.client, query, limit=limit, cursor=cursor)
    events = listed(chosen.session, page.events)
    records = [listed_event_object(event, person=chosen.shows_people) for event in events]
    shown = {**page_object(records, limit, page.next_cursor), **present(note=page.note)}
    if chosen.person is not None:
        since = await parts.catalog.workers.in_use_since(PEOPLE)
        shown["complete_from"] = moment(since) if since else None
    return shown


@router.get(
    "/events/{event_id}",
    response_model=EventView,
    summary="One event with its deliveries",
    responses=errors(404),
)
@embeddable(WORKSPACE, RESOURCE)
async def get_event(parts: ApiDependencies, caller: Called, event_id: PathId) -> Any:
    own = await read_own_event(parts, caller, event_id)
    return event_view(parts, caller, own.log)


@router.get(
    "/events/{event_id}/payload",
    response_model=EventPayloadView,
    summary="One event with its payload",
    responses=errors(404),
)
@needs(PAYLOAD)
@embeddable(WORKSPACE, RESOURCE)
async def get_event_payload(parts: ApiDependencies, caller: Called, event_id: PathId) -> Any:
    own = await read_own_event(parts, caller, event_id)
    return event_view(parts, caller, own.log, payload=True)


@router.post(
    "/events/{event_id}/cancel",
    response_model=EventView,
    summary="Cancel every delivery that has not ended",
    responses=errors(404, 409),
)
@needs(OPERATE)
@embeddable(WORKSPACE)
async def cancel_event(parts: ApiDependencies, caller: Called, event_id: PathId) -> Any:
    """A request in flight finishes and is recorded; no new one is made."""
    own = await read_own_event(parts, caller, event_id)
    await cancel_in_engine(parts.client, own.log.event_id)
    await wait_for_end(parts.client, own.log, CANCEL_SECONDS)
    ended = await read_own_event(parts, caller, event_id)
    return event_view(parts, caller, ended.log)
