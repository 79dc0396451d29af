"""Which events to list, and the list filter of Temporal that selects them.

A value goes into the filter only if all its characters are plain. Server 1.32 escapes quotes and
backslashes as MySQL expects them, but SQLite and PostgreSQL read them differently, so that a value
is not found or breaks the statement. Of any other value, the filter contains only the plain start,
and the whole is compared here.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from temporalio.client import WorkflowExecution
from temporalio.common import SearchAttributeKey

from delivery import search_attributes as names
from delivery.failures import SEVERAL, read_failures
from delivery.result import Status

# The visibility store may keep fewer digits than were sent: SQLite rounds to milliseconds.
ROUNDING = timedelta(milliseconds=1)

# At most this many runs are read without a pause, since others wait meanwhile.
RUNS_AT_ONCE = 200

# The marks of runs of bulk redeliveries, which don't redeliver canceled events.
_BULK = (names.AFTER_FAILED, names.SENT_AGAIN)

OPEN = (Status.PENDING, Status.PROCESSING, Status.RETRYING)

NOT_A_TEST = f"({names.STATE.name} IS NULL OR {names.STATE.name} != '{names.TEST}')"

_STATUS = {
    Status.COMPLETED: "ExecutionStatus = 'Completed' AND "
    f"({names.STATE.name} IS NULL OR {names.STATE.name} != '{names.CANCELED}')",
    Status.FAILED: "ExecutionStatus IN ('Failed', 'TimedOut')",
    Status.CANCELED: "ExecutionStatus IN ('Canceled', 'Terminated') OR "
    f"(ExecutionStatus = 'Completed' AND {names.STATE.name} = '{names.CANCELED}')",
} | dict.fromkeys(OPEN, "ExecutionStatus = 'Running'")


class NotSearchable(ValueError):
    """The namespace lacks the search attribute by which to search."""

    def __init__(self, by: str, key: SearchAttributeKey[Any]) -> None:
        super().__init__(
            f"{by}: events can't be searched by {by} here: the namespace lacks the search "
            f"attribute {key.name}; `emitonce doctor` says why"
        )


@dataclass(frozen=True)
class EventQuery:
    """What to list: events of at least one workspace; the other fields narrow it down.

    Ids of workspaces, connections and rules may be in either case. `resource_id_hash` comes from
    `emitonce.ids`, and so do `people`, the hashes of one identifier in each of the workspaces.
    `redelivery` is the id of a bulk redelivery and selects the events that it started; `reason`, a
    `Reason.key`, selects what failed for it at `connection`. `accepted_from` is included,
    `accepted_to` is not. Each open status selects all open events: see `status_is_exact`.
    """

    workspaces: tuple[str, ...]
    event: str | None = None
    resource: str | None = None
    resource_id_hash: str | None = None
    people: tuple[str, ...] = ()
    status: Status | None = None
    connection: str | None = None
    rule: str | None = None
    redelivery: str | None = None
    reason: str | None = None
    accepted_from: datetime | None = None
    accepted_to: datetime | None = None
    include_tests: bool = False
    only_tests: bool = False

    def __post_init__(self) -> None:
        if not self.workspaces:
            raise ValueError("workspaces: none is named; name at least one")
        for name, moment in (("from", self.accepted_from), ("to", self.accepted_to)):
            if moment is not None and moment.tzinfo is None:
                raise ValueError(f"accepted_{name}: has no time zone; add one")

    @property
    def status_is_exact(self) -> bool:
        """False for pending, processing and retrying, which lists can't distinguish."""
        return self.status not in OPEN

    @property
    def may_be_superseded(self) -> bool:
        """Whether a run that matches may be superseded by a later run that doesn't match."""
        ended = self.status in (Status.FAILED, Status.CANCELED)
        return ended or self.redelivery is not None or self.reason is not None

    @property
    def is_broad(self) -> bool:
        """Whether it selects all events of its workspaces, whatever the time."""
        return self == EventQuery(
            self.workspaces, accepted_from=self.accepted_from, accepted_to=self.accepted_to
        )

    def covers(self, accepted_at: datetime) -> bool:
        start, end = self.accepted_from, self.accepted_to
        return (start is None or accepted_at >= start) and (end is None or accepted_at < end)

    @property
    def is_plain(self) -> bool:
        """Whether `conditions` is enough; otherwise `admits` has to check each run."""
        plain = (_is_plain(one) for one in (self.event, self.resource) if one is not None)
        return self.reason is None and all(plain)

    def conditions(self) -> str:
        """Write the list filter, without a time window."""
        parts = [
            "WorkflowType = 'DeliverEvent'",
            f"{names.WORKSPACE.name} IN ({_literals([id.lower() for id in self.workspaces])})",
        ]
        for key, value in ((names.EVENT, self.event), (names.RESOURCE, self.resource)):
            if value is not None:
                parts.extend(_text_condition(key.name, value))
        for name, value in (
            (names.RESOURCE_ID.name, self.resource_id_hash),
            (names.CONNECTIONS.name, self.connection),
            (names.RULES.name, self.rule),
        ):
            if value is not None:
                parts.append(f"{name} = {_literals([value.lower()])}")
        if self.people:
            parts.append(f"{names.PEOPLE.name} IN ({_literals(self.people)})")
        if self.reason is not None:
            # What else failed in the same run may stand before it, so `admits` has the last word.
            starts = (self._failure, SEVERAL)
            either = (f"{names.REASON.name} STARTS_WITH {_literals([one])}" for one in starts)
            parts.append(f"({' OR '.join(either)})")
        if self.redelivery is not None:
            marks = [names.redelivery_mark(after, self.redelivery) for after in _BULK]
            parts.append(f"{names.REDELIVERY.name} IN ({_literals(marks)})")
        if self.status is not None:
            parts.append(f"({_STATUS[self.status]})")
        if self.only_tests:
            parts.append(f"{names.STATE.name} = '{names.TEST}'")
        elif not self.include_tests:
            parts.append(NOT_A_TEST)
        return " AND ".join(parts)

    @property
    def _failure(self) -> str:
        """Write what a failure's key starts with: see `Failure.start`."""
        return f"{(self.connection or '').lower()}/{self.reason}/"

    def admits(self, run: WorkflowExecution) -> bool:
        """Say whether a run that met `conditions` has exactly the requested names and reason."""
        found = run.typed_search_attributes
        failures = read_failures(found.get(names.REASON))
        if self.reason is not None and self._failure not in [one.start for one in failures]:
            return False
        return all(
            value is None or found.get(key) == value
            for key, value in ((names.EVENT, self.event), (names.RESOURCE, self.resource))
        )


def accepted_within(lower: datetime | None, upper: datetime | None) -> str:
    """Write the conditions for events accepted in [lower, upper), as precisely as stores can."""
    name = names.ACCEPTED_AT.name
    parts = [f" AND {name} IS NOT NULL"]
    if lower is not None:
        parts.append(f" AND {name} >= '{lower.isoformat()}'")
    if upper is not None:
        parts.append(f" AND {name} < '{upper.isoformat()}'")
    return "".join(parts)


def accepted_around(lower: datetime | None, upper: datetime | None) -> str:
    """Write these conditions a little wider, so that rounding loses no event."""
    return accepted_within(
        lower - ROUNDING if lower is not None else None,
        upper + 2 * ROUNDING if upper is not None else None,
    )


def runs_of(event_ids: list[str]) -> str:
    """Write the list filter for every run of these events, including superseded ones."""
    return f"WorkflowType = 'DeliverEvent' AND WorkflowId IN ({_literals(event_ids)})"


def _text_condition(name: str, value: str) -> list[str]:
    if _is_plain(value):
        return [f"{name} = '{value}'"]
    start = "".join(itertools.takewhile(_is_plain, value))
    return [f"{name} STARTS_WITH '{start}'"] if start else []


def _literals(values: tuple[str, ...] | list[str]) -> str:
    """Quote ids. An id that is not plain can't exist; it becomes `-`, which matches nothing."""
    return ", ".join(f"'{value if _is_plain(value) else '-'}'" for value in values)


def _is_plain(text: str) -> bool:
    """Say whether `text` can go into a filter. With PostgreSQL, server 1.32 reads a `?`, even in
    quotes, as a parameter without a value, and the list fails."""
    return text.isprintable() and not any(mark in text for mark in "'\"\\?")
