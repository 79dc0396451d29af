"""Find and erase everything that is kept about a person."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace

from temporalio.client import Client

from eventlog.event_list import LARGEST_PAGE, cursor_after, list_events
from eventlog.fetch import EventNotFound, read_event_log
from eventlog.listed_event import ListedEvent
from eventlog.log import EventLog
from eventlog.query import EventQuery
from operations.erasure import erase_events

MOST_IDENTIFIERS = 50
SHORTEST_SCANNED = 3  # characters; a shorter text is part of too many others
READ_AT_ONCE = 8
LISTED_SECONDS = 2.0
LARGEST_ANSWER = 1024 * 1024  # bytes, after which a page ends early


async def person_events(
    client: Client,
    workspace: str,
    people: Collection[str],
    *,
    mentioned: Collection[str] = (),
    known: Callable[[ListedEvent], bool] = lambda _: False,
) -> AsyncIterator[tuple[ListedEvent, EventLog]]:
    """Yield the events about a person, each once, newest accepted first; none that is `known`.

    `people` are hashes of the person's identifiers. With `mentioned`, the payload of every event of
    the workspace is read, and those that have one of these texts in it are found, too.

    Raises:
        NotSearchable: the namespace has no search attribute for people.
        CannotDecode: this process lacks a key with which an event was written.
    """
    named = EventQuery((workspace,), people=tuple(people), include_tests=True)
    seen: set[str] = set()
    async for listed, log in _read_all(client, named, known):
        seen.add(listed.event_id)
        yield listed, log
    if mentioned:
        texts = [_comparable(text) for text in mentioned]

        def skipped(listed: ListedEvent) -> bool:
            return listed.event_id in seen or known(listed)

        async for listed, log in _read_all(client, replace(named, people=()), skipped):
            if _mentions(log, texts):
                yield listed, log


async def person_page(
    client: Client,
    workspace: str,
    people: Collection[str],
    *,
    mentioned: Collection[str] = (),
    limit: int,
    cursor: str | None,
) -> tuple[list[EventLog], str | None]:
    """Read one page of the events about a person, and the cursor of the next.

    It has at most `limit` events, and ends early once they have `LARGEST_ANSWER` bytes.

    With `mentioned`, a page of the workspace's events is read instead, and those are returned that
    have one of these texts in their payload.

    Raises: as `person_events`.
    """
    query = EventQuery((workspace,), people=tuple(people), include_tests=True)
    if mentioned:
        query = replace(query, people=())
    page = await list_events(client, query, limit=limit, cursor=cursor)
    texts = [_comparable(text) for text in mentioned]
    logs: list[EventLog] = []
    size = 0
    async for listed, log in _read_logs(client, page.events):
        if mentioned and not _mentions(log, texts):
            continue
        logs.append(log)
        size += len(log.model_dump_json())
        if size >= LARGEST_ANSWER and listed is not page.events[-1]:
            return logs, cursor_after(listed)
    return logs, page.next_cursor


async def erase_person(
    client: Client,
    workspace: str,
    people: Collection[str],
    *,
    mentioned: Collection[str] = (),
    erased: set[str],
    connections: set[str],
) -> None:
    """Erase the events about a person, whose open deliveries are ended first.

    It looks until it has found none twice, since a redelivery may start one meanwhile, which lists
    show only a moment later. `erased` gets the events' ids, `connections` those of the connections
    that they were delivered by.

    Raises:
        NotErased: the server has not deleted all runs in time. It is safe to erase again.
    """
    looked = 0
    while looked < 2:
        found = []
        async for listed, log in person_events(client, workspace, people, mentioned=mentioned):
            found.append(listed.event_id)
            connections.update(one.connection for one in log.deliveries)
        if found:
            await erase_events(client, found)
            erased.update(found)
            looked = 0
        elif (looked := looked + 1) < 2:
            await asyncio.sleep(LISTED_SECONDS)


async def _read_all(
    client: Client, query: EventQuery, skipped: Callable[[ListedEvent], bool]
) -> AsyncIterator[tuple[ListedEvent, EventLog]]:
    """Read logs, a few at a time; without those whose retention has just ended."""
    cursor = None
    while True:
        page = await list_events(client, query, limit=LARGEST_PAGE, cursor=cursor)
        due = [one for one in page.events if not skipped(one)]
        async for listed, log in _read_logs(client, due):
            yield listed, log
        cursor = page.next_cursor
        if cursor is None:
            return


async def _read_logs(
    client: Client, due: Sequence[ListedEvent]
) -> AsyncIterator[tuple[ListedEvent, EventLog]]:
    for start in range(0, len(due), READ_AT_ONCE):
        several = due[start : start + READ_AT_ONCE]
        logs = await asyncio.gather(*(_read(client, one.event_id) for one in several))
        for listed, log in zip(several, logs, strict=True):
            if log is not None:
                yield listed, log


async def _read(client: Client, event_id: str) -> EventLog | None:
    with suppress(EventNotFound):
        return await read_event_log(client, event_id)
    return None


def _mentions(log: EventLog, texts: Sequence[str]) -> bool:
    payload = _comparable(log.payload)
    return any(text in payload for text in texts)


def _comparable(value: object) -> str:
    """Write text, or the JSON of a payload, so that neither case nor quoting makes a difference."""
    text = json.dumps(value, ensure_ascii=False)
    return (text[1:-1].strip() if isinstance(value, str) else text).casefold()
