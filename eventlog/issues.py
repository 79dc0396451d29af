"""Group the failed events of a time range by connection and reason."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime

from temporalio.client import Client

from delivery.failures import Failure
from delivery.result import Status
from eventlog.latest_runs import latest_runs
from eventlog.listed_event import ListedEvent
from eventlog.query import RUNS_AT_ONCE, EventQuery, accepted_around

MOST_FAILED = 10_000


@dataclass(frozen=True)
class Issue:
    """The events that failed at one connection for one reason, and when they did.

    An event that failed in several ways is part of several issues.
    """

    failure: Failure
    events: int
    first_at: datetime
    last_at: datetime
    last_event: ListedEvent


@dataclass(frozen=True)
class Issues:
    """The issues, those with most events first, of the `failed` events that were read.

    Unless `complete`, more have failed, and only the latest were read. Of `unexplained` events no
    reason is on record: their runs were ended from outside, or recorded none.
    """

    issues: tuple[Issue, ...]
    failed: int
    unexplained: int
    complete: bool


async def find_issues(client: Client, query: EventQuery, *, most: int = MOST_FAILED) -> Issues:
    """Read the latest `most` failed runs of the query, each event by its latest run."""
    query = replace(query, status=Status.FAILED)
    listing = client.list_workflows(
        query.conditions() + accepted_around(query.accepted_from, query.accepted_to),
        page_size=min(RUNS_AT_ONCE, most),
        limit=most + 1,
    )
    read = 0
    listed = []
    async for run in listing:
        read += 1
        if read > most or not query.admits(run):
            continue
        event = await ListedEvent.of(run)
        if query.covers(event.accepted_at):  # the list is a little wider, since stores round times
            listed.append(event)
    latest = await latest_runs(client, [event.event_id for event in listed])
    events = {
        event.event_id: event
        for event in listed
        if event.event_id not in latest or latest[event.event_id].run_id == event.run_id
    }
    by_failure: dict[str, list[ListedEvent]] = defaultdict(list)
    failures: dict[str, Failure] = {}
    for event in events.values():
        for failure in event.failures:
            failures[failure.key] = failure
            by_failure[failure.key].append(event)
    issues = [_issue(failures[key], found) for key, found in by_failure.items()]
    return Issues(
        issues=tuple(sorted(issues, key=lambda one: (-one.events, one.failure.key))),
        failed=len(events),
        unexplained=sum(not event.failures for event in events.values()),
        complete=read <= most,
    )


def _issue(failure: Failure, events: list[ListedEvent]) -> Issue:
    last = max(events, key=_failed_at)
    return Issue(
        failure=failure,
        events=len(events),
        first_at=min(map(_failed_at, events)),
        last_at=_failed_at(last),
        last_event=last,
    )


def _failed_at(event: ListedEvent) -> datetime:
    return event.closed_at or event.accepted_at
