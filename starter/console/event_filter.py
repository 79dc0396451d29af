"""The filters of the list of events, as its address holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from catalog.values import read_id
from delivery.reason import Reason
from delivery.result import Status
from eventlog.query import EventQuery
from starter.api.errors import bad_request

# How far back, in how many bars, and how it is called.
RANGES = {
    "1h": (timedelta(hours=1), 30, "Last hour"),
    "24h": (timedelta(hours=24), 24, "Last 24 hours"),
    "7d": (timedelta(days=7), 28, "Last 7 days"),
    "30d": (timedelta(days=30), 30, "Last 30 days"),
}
CUSTOM_BARS = 30
DEFAULT_RANGE = "24h"
STATUSES = (Status.COMPLETED, Status.FAILED, Status.PROCESSING, Status.CANCELED)
LONGEST_NAME = 255


@dataclass(frozen=True)
class EventFilter:
    """`start` and `end` are set for a custom time range, which takes precedence over `range`.

    `reason` is an issue's, at `connection`.
    """

    event: str = ""
    resource: str = ""
    status: Status | None = None
    connection: str = ""
    redelivery: str = ""
    reason: str = ""
    range: str = DEFAULT_RANGE
    start: datetime | None = None
    end: datetime | None = None
    tests: bool = False

    @classmethod
    def of(cls, asked: Mapping[str, str]) -> EventFilter:
        """Read a query string; unknown values are ignored. Raises `ApiError` 400: a time."""
        status = asked.get("status", "")
        connection = asked.get("connection", "")
        redelivery = asked.get("redelivery", "")
        reason = asked.get("reason", "")
        return cls(
            event=asked.get("event", "").strip()[:LONGEST_NAME],
            resource=asked.get("resource", "").strip()[:LONGEST_NAME],
            status=Status(status) if status in STATUSES else None,
            connection=connection.lower() if read_id(connection) else "",
            redelivery=redelivery.lower() if read_id(redelivery) else "",
            reason=reason if read_id(connection) and Reason.read(reason) else "",
            range=asked.get("range", "") if asked.get("range") in RANGES else DEFAULT_RANGE,
            start=read_utc("from", asked.get("from", "")),
            end=read_utc("to", asked.get("to", "")),
            tests=asked.get("tests") == "include",
        )

    @property
    def narrowed(self) -> bool:
        return bool(
            self.event or self.resource or self.status or self.connection or self.redelivery
        )

    @property
    def time_range(self) -> str:
        return "The chosen time range" if self.start or self.end else RANGES[self.range][2]

    def query(self, workspace: str, now: datetime, *, status: bool = True) -> EventQuery:
        start, end = self.bounds(now)
        return EventQuery(
            (workspace,),
            event=self.event or None,
            resource=self.resource or None,
            status=self.status if status else None,
            connection=self.connection or None,
            redelivery=self.redelivery or None,
            reason=self.reason or None,
            accepted_from=start,
            # What comes in while the page is made belongs to it.
            accepted_to=end if self.end else None,
            include_tests=self.tests,
        )

    def bounds(self, now: datetime) -> tuple[datetime, datetime]:
        end = self.end or now
        return self.start or end - RANGES[self.range][0], end

    def bars(self, now: datetime) -> tuple[int, timedelta]:
        """Return how many bars the chart has, and how much time each covers."""
        start, end = self.bounds(now)
        number = CUSTOM_BARS if self.start or self.end else RANGES[self.range][1]
        return number, max((end - start) / number, timedelta(seconds=1))

    def address(self, **changes: str | None) -> str:
        """Return the query string for these filters with `changes`."""
        fields: dict[str, str | None] = {
            "event": self.event,
            "resource": self.resource,
            "status": self.status,
            "connection": self.connection,
            "redelivery": self.redelivery,
            "reason": self.reason,
            "range": self.range if self.range != DEFAULT_RANGE else None,
            "from": local(self.start),
            "to": local(self.end),
            "tests": "include" if self.tests else None,
        }
        return urlencode({name: value for name, value in (fields | changes).items() if value})

    def redelivery_address(self, now: datetime) -> str:
        """Return the query string that plans a redelivery of what failed in the same time range."""
        start, _ = self.bounds(now)
        other = dict.fromkeys(("resource", "status", "redelivery", "range", "tests"))
        return self.address(**other, **{"from": local(start)})


def read_utc(param: str, text: str) -> datetime | None:
    """Read a time from a `datetime-local` field, as UTC. Raises `ApiError` 400."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise bad_request(param, "must be a time such as 2026-11-23T18:00") from None
    if not 1970 <= at.year < 9000:
        raise bad_request(param, "must lie between 1970 and 9000")
    return at


def local(at: datetime | None) -> str:
    """Write a time as a `datetime-local` field needs it."""
    return at.strftime("%Y-%m-%dT%H:%M:%S") if at else ""
