"""Finds what an operator should know of: in visibility and in the catalog, never in deliveries.

It compares with what the last look has found, so nothing is told twice and nothing is missed that
lasts until the next look. Failures are looked for a while back, because lists lag behind.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from temporalio.client import Client, WorkflowExecution

from catalog.connections import Connection
from catalog.errors import NotFound
from delivery.alert import (
    Alert,
    AlertType,
    InactiveConnection,
    Known,
    LastResponse,
    Seen,
)
from delivery.delivery_log import DeliveryLog
from delivery.log import EventLog
from delivery.result import Status
from delivery.search_attributes import STATE, TEST, WORKSPACE
from emitonce.errors import CannotDecode
from engine.event_log import EventNotFound, read_event_log
from engine.held_runs import held_for
from engine.links import run_url

LISTED_WITHIN = timedelta(minutes=1)
TOLD_ONE_BY_ONE = 10
MOST_LISTED = 1_000

_NOT_A_TEST = f"({STATE.name} IS NULL OR {STATE.name} != '{TEST}')"
_FAILED = (
    f"WorkflowType = 'DeliverEvent' AND ExecutionStatus IN ('Failed', 'TimedOut') AND {_NOT_A_TEST}"
)
_OPEN = f"WorkflowType = 'DeliverEvent' AND ExecutionStatus = 'Running' AND {STATE.name} IS NULL"


class Connections(Protocol):
    async def inactive(self) -> Sequence[Connection]: ...

    async def status(self, connection_id: str) -> str: ...


@dataclass(frozen=True)
class Attention:
    """What to look at, how often, and what counts as old. `ui_url` is for links."""

    task_queue: str
    every_seconds: float
    backlog_minutes: float
    ui_url: str | None = None


class Lookout:
    def __init__(self, client: Client, connections: Connections, attention: Attention) -> None:
        self._client = client
        self._connections = connections
        self._attention = attention

    async def look(self, known: Known) -> Seen:
        look = _Look(self._client, self._connections, self._attention, datetime.now(UTC))
        inactive, told = await look.inactive(known)
        seen, failed = await look.failed(known)
        backlog, old = await look.backlog(known)
        return Seen(
            known=Known(failed_until=look.now, seen=seen, inactive=inactive, backlog=backlog),
            alerts=(*told, *failed, *old),
            look_again=self._attention.every_seconds,
        )


class _Look:
    def __init__(
        self, client: Client, connections: Connections, attention: Attention, now: datetime
    ) -> None:
        self.now = now
        self._client = client
        self._connections = connections
        self._attention = attention

    async def inactive(self, known: Known) -> tuple[tuple[InactiveConnection, ...], list[Alert]]:
        found = {
            connection.id: InactiveConnection(
                id=connection.id, workspace=connection.workspace, since=connection.updated_at
            )
            for connection in await self._connections.inactive()
        }
        before = {connection.id: connection for connection in known.inactive}
        alerts = [
            await self._went_inactive(connection)
            for connection in found.values()
            if connection.id not in before
        ]
        gone = [connection for connection in before.values() if connection.id not in found]
        active = [connection for connection in gone if await self._is_active(connection.id)]
        alerts += [_recovered(connection, self.now) for connection in active]
        still = {id: before.get(id, connection) for id, connection in found.items()}
        return tuple(still.values()), alerts

    async def _is_active(self, connection: str) -> bool:
        try:
            return await self._connections.status(connection) == "active"
        except NotFound:
            return False

    async def _went_inactive(self, connection: InactiveConnection) -> Alert:
        held = await self._list(held_for(connection.id), at_most=1)
        log = await self._log(held[0].id) if held else None
        delivery = _first(log, lambda d: d.connection == connection.id and d.held is not None)
        return Alert(
            id=_id(AlertType.CONNECTION_INACTIVE, connection.id, connection.since.isoformat()),
            type=AlertType.CONNECTION_INACTIVE,
            occurred_at=connection.since,
            message="the connection takes no deliveries; they wait until its key is replaced or it "
            "is resumed",
            workspace=connection.workspace,
            connection=connection.id,
            event_id=log.event_id if log else None,
            rule=delivery.rule if delivery else None,
            last_response=_last_response(delivery),
            url=self._url(log.event_id) if log else None,
        )

    async def failed(self, known: Known) -> tuple[tuple[str, ...], list[Alert]]:
        since = (known.failed_until - LISTED_WITHIN).isoformat()
        runs = await self._list(
            self._mine(f"{_FAILED} AND CloseTime >= '{since}'"), at_most=MOST_LISTED
        )
        new = [run for run in runs if run.run_id not in known.seen]
        alerts = [await self._failed_event(run) for run in new[:TOLD_ONE_BY_ONE]]
        if more := new[TOLD_ONE_BY_ONE:]:
            alerts.append(_failed_too(more, self.now))
        recent = [
            run.run_id
            for run in runs
            if run.close_time is None or run.close_time >= self.now - 2 * LISTED_WITHIN
        ]
        return tuple(recent), alerts

    async def _failed_event(self, run: WorkflowExecution) -> Alert:
        log = await self._log(run.id)
        delivery = _first(log, lambda d: d.status is Status.FAILED)
        return Alert(
            id=_id(AlertType.DELIVERY_FAILED, run.run_id),
            type=AlertType.DELIVERY_FAILED,
            occurred_at=run.close_time or self.now,
            message="a delivery failed for good; it can be redelivered",
            workspace=run.typed_search_attributes.get(WORKSPACE),
            connection=delivery.connection if delivery else None,
            rule=delivery.rule if delivery else None,
            event_id=run.id,
            count=log.failed_count if log else None,
            last_response=_last_response(delivery),
            url=self._url(run.id),
        )

    async def backlog(self, known: Known) -> tuple[bool, list[Alert]]:
        minutes = self._attention.backlog_minutes
        limit = self.now - timedelta(minutes=minutes)
        query = self._mine(f"{_OPEN} AND StartTime < '{limit.isoformat()}'")
        count = (await self._client.count_workflows(query)).count
        if not count or known.backlog:
            return count > 0, []
        runs = await self._list(query, at_most=MOST_LISTED)
        if not runs:
            return False, []
        oldest = min(runs, key=lambda run: run.start_time)
        log = await self._log(oldest.id)
        delivery = _first(log, lambda d: d.status in (Status.RETRYING, Status.PROCESSING))
        alert = Alert(
            id=_id(AlertType.BACKLOG_OLD, oldest.run_id, self.now.isoformat()),
            type=AlertType.BACKLOG_OLD,
            occurred_at=self.now,
            message=f"events have been under way for more than {minutes:g} minutes",
            workspace=oldest.typed_search_attributes.get(WORKSPACE),
            connection=delivery.connection if delivery else None,
            rule=delivery.rule if delivery else None,
            event_id=oldest.id,
            count=count,
            last_response=_last_response(delivery),
            url=self._url(oldest.id),
        )
        return True, [alert]

    async def _list(self, query: str, *, at_most: int) -> list[WorkflowExecution]:
        listing = self._client.list_workflows(query, page_size=at_most, limit=at_most)
        return [run async for run in listing]

    async def _log(self, event_id: str) -> EventLog | None:
        try:
            return await read_event_log(self._client, event_id)
        except (EventNotFound, CannotDecode):
            return None

    def _url(self, event_id: str) -> str | None:
        return run_url(self._attention.ui_url, self._client, event_id)

    def _mine(self, query: str) -> str:
        return f"{query} AND TaskQueue = '{self._attention.task_queue}'"


def _recovered(connection: InactiveConnection, now: datetime) -> Alert:
    return Alert(
        id=_id(AlertType.CONNECTION_RECOVERED, connection.id, connection.since.isoformat()),
        type=AlertType.CONNECTION_RECOVERED,
        occurred_at=now,
        message="the connection takes deliveries again",
        workspace=connection.workspace,
        connection=connection.id,
    )


def _failed_too(runs: Sequence[WorkflowExecution], now: datetime) -> Alert:
    return Alert(
        id=_id(AlertType.DELIVERIES_FAILED, *sorted(run.run_id for run in runs)),
        type=AlertType.DELIVERIES_FAILED,
        occurred_at=now,
        message=f"{len(runs)} more events failed for good; they can be redelivered together",
        event_id=runs[0].id,
        count=len(runs),
    )


def _first(log: EventLog | None, wanted: Callable[[DeliveryLog], bool]) -> DeliveryLog | None:
    return next((d for d in log.deliveries if wanted(d)), None) if log else None


def _last_response(delivery: DeliveryLog | None) -> LastResponse | None:
    if delivery is None:
        return None
    calls = [call for call in (delivery.track, delivery.identify) if call and call.attempts]
    if not calls:
        return None
    last = calls[0].attempts[-1]
    return LastResponse(
        call=last.call,
        outcome_code=last.outcome_code,
        status_code=last.status_code,
        message=last.message,
    )


def _id(*parts: str) -> str:
    """The same for the same occurrence, so that it is told once whoever finds it."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, "|".join(parts)))
