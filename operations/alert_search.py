"""Find what an operator should know about, in lists and in the catalog.

Each search compares with what the last one found, so that nothing is reported twice, and nothing is
missed that lasts until the next search. It goes a while back, because lists lag behind.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from temporalio.client import Client, WorkflowExecution

from catalog.connections import Connection
from catalog.traffic import Traffic
from delivery.alert import (
    FAILING_ALERTS,
    Alert,
    AlertsFound,
    AlertType,
    InactiveConnection,
    LastResponse,
    WatchState,
)
from delivery.delivery_log import DeliveryLog
from delivery.failures import read_failures
from delivery.outcome import REFUSALS
from delivery.reason import headline
from delivery.result import Status
from delivery.search_attributes import REASON, STATE, WORKSPACE
from delivery.text import shown
from destinations.headlines import headline_of_failures, vendor_of
from emitonce.errors import CannotDecode
from engine.links import run_url
from eventlog.fetch import EventNotFound, read_event_log
from eventlog.log import EventLog
from eventlog.query import NOT_A_TEST
from operations.held_runs import held_for
from operations.problem import failing_sentence, fails

LISTED_WITHIN = timedelta(minutes=1)
# A connection that only fails is reported after this time: shorter failures pass by themselves.
FAILING_FOR = timedelta(seconds=30)
REPORTED_ONE_BY_ONE = 10
MOST_LISTED = 1_000  # further ones are only counted

_FAILED = (
    f"WorkflowType = 'DeliverEvent' AND ExecutionStatus IN ('Failed', 'TimedOut') AND {NOT_A_TEST}"
)
_OPEN = f"WorkflowType = 'DeliverEvent' AND ExecutionStatus = 'Running' AND {STATE.name} IS NULL"


class ConnectionLookup(Protocol):
    async def inactive(self) -> Sequence[Connection]: ...

    async def status(self, connection_id: str) -> str | None: ...

    async def names(
        self, workspace: str | None, connection_id: str | None
    ) -> tuple[str | None, str | None]: ...


class TrafficLookup(Protocol):
    async def everywhere(self) -> Sequence[Traffic]: ...


@dataclass(frozen=True)
class AlertCriteria:
    """What to search, how often, and what counts as old. Links start with `ui_url`."""

    task_queue: str
    every_seconds: float
    backlog_minutes: float
    ui_url: str | None = None


class AlertSearch:
    """`in_use` returns the features that no worker can lack anymore."""

    def __init__(
        self,
        client: Client,
        connections: ConnectionLookup,
        traffic: TrafficLookup,
        criteria: AlertCriteria,
        in_use: Callable[[], Collection[str]],
    ) -> None:
        self._client = client
        self._connections = connections
        self._traffic = traffic
        self._criteria = criteria
        self._in_use = in_use

    async def find_alerts(self, known: WatchState) -> AlertsFound:
        now = datetime.now(UTC)
        inactive, changed = await self._find_inactive(known, now)
        failing, down = await self._find_failing(known, now)
        seen, recent, failed = await self._find_failed(known, now)
        backlog, old = await self._find_backlog(known, now)
        return AlertsFound(
            known=WatchState(
                failed_until=now,
                seen=seen,
                recent=recent,
                inactive=inactive,
                failing=failing,
                backlog=backlog,
            ),
            alerts=tuple([await self._named(alert) for alert in (*changed, *down, *failed, *old)]),
            look_again=self._criteria.every_seconds,
        )

    async def _find_inactive(
        self, known: WatchState, now: datetime
    ) -> tuple[tuple[InactiveConnection, ...], list[Alert]]:
        found = {connection.id: connection for connection in await self._connections.inactive()}
        before = {connection.id: connection for connection in known.inactive}
        new = [c for c in found.values() if c.id not in before or _again(c, before[c.id])]
        alerts = [await self._went_inactive(connection) for connection in new]
        gone = [connection for connection in before.values() if connection.id not in found]
        active = [c for c in gone if await self._connections.status(c.id) == "active"]
        alerts += [_recovered(connection, now) for connection in active]
        remembered = before | {connection.id: _inactive(connection) for connection in new}
        return tuple(remembered[id] for id in found), alerts

    async def _find_failing(
        self, known: WatchState, now: datetime
    ) -> tuple[tuple[InactiveConnection, ...], list[Alert]]:
        """Report connections that have only failed for a while, once events wait for them."""
        if FAILING_ALERTS not in self._in_use():
            return known.failing, []
        traffic = await self._traffic.everywhere()
        found = {one.connection.id: one for one in traffic if fails(one)}
        still = [connection for connection in known.failing if connection.id in found]
        before = {connection.id for connection in still}
        new = [
            one
            for id, one in found.items()
            if id not in before
            and one.waiting.count
            and one.failing_since
            and now - one.failing_since > FAILING_FOR
        ]
        ended = [connection for connection in known.failing if connection.id not in found]
        active = [c for c in ended if await self._connections.status(c.id) == "active"]
        alerts = [
            Alert(
                id=_id(AlertType.CONNECTION_FAILING, one.connection.id, str(one.failing_since)),
                type=AlertType.CONNECTION_FAILING,
                occurred_at=one.failing_since or now,
                message=failing_sentence(one),
                workspace=one.connection.workspace,
                connection=one.connection.id,
                count=one.waiting.count,
                last_response=one.last_error,
            )
            for one in new
        ] + [_recovered(connection, now) for connection in active]
        remembered = [
            InactiveConnection(
                id=one.connection.id,
                workspace=one.connection.workspace,
                since=one.failing_since or now,
            )
            for one in new
        ]
        return (*still, *remembered), alerts

    async def _went_inactive(self, connection: Connection) -> Alert:
        """Make the alert from the answer that caused it, or else from an event that is held."""
        refusal, since = connection.refusal, _inactive(connection).since
        event_id = refusal.event_id if refusal else None
        if refusal is None:
            held = await self._list(held_for(connection.id), at_most=1)
            event_id = held[0].id if held else None
        log = await self._log(event_id) if event_id else None
        delivery = _first(log, lambda d: d.connection == connection.id)
        return Alert(
            id=_id(AlertType.CONNECTION_INACTIVE, connection.id, since.isoformat()),
            type=AlertType.CONNECTION_INACTIVE,
            occurred_at=since,
            message=f"the connection is inactive{_because(connection)}; its deliveries wait until "
            "its key is replaced or it is resumed",
            workspace=connection.workspace,
            connection=connection.id,
            rule=refusal.rule if refusal else delivery.rule if delivery else None,
            event=_event(log),
            event_id=event_id,
            last_response=refusal.response if refusal else _last_response(delivery),
            url=self._url(event_id) if event_id else None,
        )

    async def _find_failed(
        self, known: WatchState, now: datetime
    ) -> tuple[tuple[str, ...], int, list[Alert]]:
        """Return the failures that the next search will find again, their number, and alerts."""
        since = known.failed_until - LISTED_WITHIN
        runs = await self._list(self._failed_since(since), at_most=MOST_LISTED)
        new = [run for run in runs if run.run_id not in known.seen]
        if len(runs) < MOST_LISTED:
            recent, count = len(_closed_since(now - LISTED_WITHIN, runs)), len(new)
        else:
            # Count the recent ones first: what lists add in between is reported twice, not never.
            recent = await self._count(self._failed_since(now - LISTED_WITHIN))
            reported = len(known.seen) if known.recent is None else known.recent
            count = max(await self._count(self._failed_since(since)) - reported, len(new))
        alerts = [await self._failed_event(run, now) for run in new[:REPORTED_ONE_BY_ONE]]
        if more := new[REPORTED_ONE_BY_ONE:]:
            left = count - REPORTED_ONE_BY_ONE
            alerts.append(
                Alert(
                    id=_id(AlertType.DELIVERIES_FAILED, *sorted(run.run_id for run in more)),
                    type=AlertType.DELIVERIES_FAILED,
                    occurred_at=now,
                    message=f"{left} more events failed for good{_mostly(more)}; they can be "
                    "redelivered together",
                    event_id=more[0].id,
                    count=left,
                )
            )
        close = _closed_since(now - 2 * LISTED_WITHIN, runs)
        return tuple(run.run_id for run in close), recent, alerts

    def _failed_since(self, moment: datetime) -> str:
        return self._mine(f"{_FAILED} AND CloseTime >= '{moment.isoformat()}'")

    async def _failed_event(self, run: WorkflowExecution, now: datetime) -> Alert:
        log = await self._log(run.id)
        delivery = _first(log, lambda d: d.status is Status.FAILED)
        return Alert(
            id=_id(AlertType.DELIVERY_FAILED, run.run_id),
            type=AlertType.DELIVERY_FAILED,
            occurred_at=run.close_time or now,
            message=_why(delivery),
            workspace=run.typed_search_attributes.get(WORKSPACE),
            connection=delivery.connection if delivery else None,
            rule=delivery.rule if delivery else None,
            event=_event(log),
            event_id=run.id,
            count=log.failed_count if log else None,
            last_response=_last_response(delivery),
            url=self._url(run.id),
        )

    async def _find_backlog(self, known: WatchState, now: datetime) -> tuple[bool, list[Alert]]:
        minutes = self._criteria.backlog_minutes
        limit = now - timedelta(minutes=minutes)
        query = self._mine(f"{_OPEN} AND StartTime < '{limit.isoformat()}'")
        count = await self._count(query)
        if not count or known.backlog:
            return count > 0, []
        runs = await self._list(query, at_most=MOST_LISTED)
        if not runs:
            return False, []
        oldest = min(runs, key=lambda run: run.start_time)
        log = await self._log(oldest.id)
        delivery = _first(log, lambda d: d.status in (Status.RETRYING, Status.PROCESSING))
        alert = Alert(
            id=_id(AlertType.BACKLOG_OLD, oldest.run_id, now.isoformat()),
            type=AlertType.BACKLOG_OLD,
            occurred_at=now,
            message=f"events have been under way for more than {minutes:g} minutes",
            workspace=oldest.typed_search_attributes.get(WORKSPACE),
            connection=delivery.connection if delivery else None,
            rule=delivery.rule if delivery else None,
            event=_event(log),
            event_id=oldest.id,
            count=count,
            last_response=_last_response(delivery),
            url=self._url(oldest.id),
        )
        return True, [alert]

    async def _named(self, alert: Alert) -> Alert:
        """Add names to the ids of an alert, for people."""
        workspace, connection = await self._connections.names(alert.workspace, alert.connection)
        return alert.model_copy(update={"workspace_name": workspace, "connection_name": connection})

    async def _count(self, query: str) -> int:
        return (await self._client.count_workflows(query)).count

    async def _list(self, query: str, *, at_most: int) -> list[WorkflowExecution]:
        listing = self._client.list_workflows(query, page_size=at_most, limit=at_most)
        return [run async for run in listing]

    async def _log(self, event_id: str) -> EventLog | None:
        try:
            return await read_event_log(self._client, event_id)
        except (EventNotFound, CannotDecode):
            return None

    def _url(self, event_id: str) -> str | None:
        return run_url(self._criteria.ui_url, self._client, event_id)

    def _mine(self, query: str) -> str:
        return f"{query} AND TaskQueue = '{self._criteria.task_queue}'"


def _recovered(connection: InactiveConnection, now: datetime) -> Alert:
    return Alert(
        id=_id(AlertType.CONNECTION_RECOVERED, connection.id, connection.since.isoformat()),
        type=AlertType.CONNECTION_RECOVERED,
        occurred_at=now,
        message="the connection accepts deliveries again",
        workspace=connection.workspace,
        connection=connection.id,
    )


def _because(connection: Connection) -> str:
    reason = connection.inactive_reason
    said = REFUSALS.get(reason) if reason else None
    return f", since {vendor_of(connection.type)} {said}" if said else ""


def _inactive(connection: Connection) -> InactiveConnection:
    return InactiveConnection(
        id=connection.id,
        workspace=connection.workspace,
        since=connection.inactive_since or connection.updated_at,
    )


def _again(connection: Connection, before: InactiveConnection) -> bool:
    """Say whether the connection has become inactive once more since it was found inactive.

    `before.since` may be the time of an unrelated change, if an older release recorded it.
    """
    return connection.inactive_since is not None and connection.inactive_since > before.since


def _closed_since(
    moment: datetime, runs: Sequence[WorkflowExecution]
) -> Sequence[WorkflowExecution]:
    return [run for run in runs if run.close_time is None or run.close_time >= moment]


def _why(delivery: DeliveryLog | None) -> str:
    """Say why it failed in codes: the destination's own words may repeat what was sent."""
    if delivery is None or delivery.reason is None:
        return "a delivery failed for good; it can be redelivered"
    why = headline(vendor_of(delivery.integration_type), delivery.reason)
    return f"{why}; a delivery failed for good, and can be redelivered"


def _mostly(runs: Sequence[WorkflowExecution]) -> str:
    """Say for which reason most of the runs failed, as far as it is known."""
    read = (read_failures(run.typed_search_attributes.get(REASON)) for run in runs)
    whys = Counter(headline_of_failures(failures[:1]) for failures in read if failures)
    return f", mostly because {whys.most_common(1)[0][0]}" if whys else ""


def _event(log: EventLog | None) -> str | None:
    return shown(log.event) if log and log.event else None


def _first(log: EventLog | None, wanted: Callable[[DeliveryLog], bool]) -> DeliveryLog | None:
    return next((d for d in log.deliveries if wanted(d)), None) if log else None


def _last_response(delivery: DeliveryLog | None) -> LastResponse | None:
    if delivery is None:
        return None
    calls = [call for call in delivery.calls if call.attempts]
    if not calls:
        return None
    last = calls[-1].attempts[-1]
    return LastResponse(
        call=last.call,
        outcome_code=last.outcome_code,
        status_code=last.status_code,
        message=last.message,
    )


def _id(*parts: str) -> str:
    """Make the same id for the same occurrence, so that it is reported once."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, "|".join(parts)))
