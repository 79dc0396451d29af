"""List events, newest first, from Temporal's visibility, in pages that stay stable.

Visibility over SQL has no ORDER BY and lists open runs before closed ones, so its own pages repeat
or skip runs that close meanwhile. Here, events are ordered by when they were first accepted
(`EmitonceAcceptedAt`). That never changes, so all runs of an event fall into the same window, where
the latest one represents the event.

A run without a workspace and an acceptance time isn't listed. Starters other than ours set neither,
so their events appear after the first workflow task. Events refused as `InvalidEvent` never appear;
the Web UI lists them by `ExecutionStatus = 'Failed'`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError

from delivery import search_attributes as names
from delivery.frozen_model import FrozenModel
from delivery.timestamps import EPOCH
from engine.search_attributes import is_unregistered
from eventlog.event_cursor import LATEST, MICROSECOND, Cursor, Key
from eventlog.latest_runs import latest_runs
from eventlog.listed_event import ListedEvent
from eventlog.query import EventQuery, NotSearchable, accepted_around, accepted_within
from eventlog.recent import recent_runs
from eventlog.windows import FIRST, WHOLE, Windows

LARGEST_PAGE = 200

# One call returns at most a thousand runs (`frontend.visibilityMaxPageSize`).
MOST_ROWS = 1_000
FEWEST_ROWS = 20

# After this many windows a page is returned short, with a cursor to continue from.
MOST_WINDOWS = 48

OPEN_NOTE = (
    "lists can't distinguish pending, processing and retrying: these are all open events; "
    "read one event for its exact status"
)


class EventPage(FrozenModel):
    """A page of events. It may be short and still have a next page; `next_cursor` says so.

    `note` is set if lists can't distinguish the requested status from others.
    """

    events: tuple[ListedEvent, ...]
    next_cursor: str | None
    note: str | None = None


async def list_events(
    client: Client, query: EventQuery, *, limit: int, cursor: str | None = None
) -> EventPage:
    """List at most `limit` events (1 to 200), newest accepted first, then by id.

    Raises:
        InvalidCursor: `cursor` does not come from an earlier page.
        NotSearchable: the query names people or a reason, by which this namespace can't search.
        ValueError: `limit` is out of range.
    """
    if not 1 <= limit <= LARGEST_PAGE:
        raise ValueError(f"limit: is {limit}, must be 1 to {LARGEST_PAGE}")
    start = Cursor.decode(cursor) if cursor is not None else None
    windows = _windows(query, start)
    rows = min(MOST_ROWS, max(FEWEST_ROWS, 4 * limit))
    found: dict[Key, WorkflowExecution] = {}
    if windows.is_whole and query.is_broad:
        recent = await recent_runs(client, query, rows)
        if not recent.complete:
            windows.aim([run.accepted_at for run in recent.runs], limit + 1)
    asked = 0
    while len(found) <= limit and not windows.exhausted and asked < MOST_WINDOWS:
        asked += 1
        latest, read, complete = await _read(client, query, windows, rows)
        latest = {key: run for key, run in latest.items() if start is None or key < start.after}
        if not complete:
            windows.narrow([key.accepted_at for key in latest], limit + 1 - len(found))
            continue
        found.update(latest)
        newest = max(latest).accepted_at if latest else None
        windows.advance(read, wanted=limit * 3 // 2 + 1, newest=newest)
    keys = sorted(found, reverse=True)
    return EventPage(
        events=tuple([await ListedEvent.of(found[key]) for key in keys[:limit]]),
        next_cursor=_next_cursor(keys, limit, windows),
        note=None if query.status_is_exact else OPEN_NOTE,
    )


def cursor_after(event: ListedEvent) -> str:
    """Return the cursor of the page that starts after an event."""
    return Cursor(Key(event.accepted_at, event.event_id), FIRST).encode()


def _windows(query: EventQuery, start: Cursor | None) -> Windows:
    upper = min(query.accepted_to, LATEST) if query.accepted_to is not None else None
    if start is not None:
        below = start.after.accepted_at + MICROSECOND  # other events may share its microsecond
        upper = min(upper, below) if upper is not None else below
    now = datetime.now(UTC)
    floor = max(query.accepted_from, EPOCH) if query.accepted_from is not None else EPOCH
    # What the server lists first is mostly new, so a page of everything says how dense the newest
    # events are.
    whole = upper is None and (floor == EPOCH or (query.is_broad and floor < now - FIRST))
    width = start.width if start is not None else WHOLE if whole else FIRST
    return Windows(upper=upper, now=now, floor=floor, width=width)


def _next_cursor(keys: list[Key], limit: int, windows: Windows) -> str | None:
    if len(keys) > limit:
        return Cursor(keys[limit - 1], windows.width).encode()
    if windows.exhausted or windows.upper is None:
        return None
    return Cursor(Key(windows.upper, ""), windows.width).encode()  # "" sorts before every id


async def _read(
    client: Client, query: EventQuery, windows: Windows, most: int
) -> tuple[dict[Key, WorkflowExecution], int, bool]:
    """Read a window: the latest run of every event, how many runs, and whether these are all.

    If it holds more than `most` runs, only its first page is read, and these aren't all. But the
    narrowest window is read page by page, however many rows it holds. A run that closes
    meanwhile moves down in the server's order, so it may appear twice but is not missed.
    """
    lower, upper = windows.lower, windows.upper
    # Without a range, the server reads no rows but those of the first page, in its own order.
    asked = accepted_within(None, None) if windows.is_whole else accepted_around(lower, upper)
    listing = client.list_workflows(query.conditions() + asked, page_size=most)
    try:
        await listing.fetch_next_page()
    except RPCError as err:
        for by, attribute in (("person", names.PEOPLE), ("reason", names.REASON)):
            if is_unregistered(err, attribute):
                raise NotSearchable(by, attribute) from err
        raise
    complete = not (listing.next_page_token and windows.can_narrow)
    runs = [run async for run in listing] if complete else listing.current_page or []
    latest: dict[Key, WorkflowExecution] = {}
    for run in runs:
        accepted_at = run.typed_search_attributes[names.ACCEPTED_AT]
        if accepted_at < lower or (upper is not None and accepted_at >= upper):
            continue
        key = Key(accepted_at, run.id)
        if query.admits(run) and (key not in latest or run.start_time > latest[key].start_time):
            latest[key] = run
    if complete and query.may_be_superseded:
        latest = await _without_superseded(client, latest)
    return latest, len(runs), complete


async def _without_superseded(
    client: Client, found: dict[Key, WorkflowExecution]
) -> dict[Key, WorkflowExecution]:
    """Leave out superseded runs: the latest run of their event may not match the query."""
    newest = await latest_runs(client, [key.event_id for key in found])
    return {
        key: run
        for key, run in found.items()
        if key.event_id not in newest or newest[key.event_id].run_id == run.run_id
    }
