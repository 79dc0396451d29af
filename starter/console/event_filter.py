"""The filters of the list of events, as its address holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
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
    "today": (timedelta(hours=24), 24, "Today"),
    "yesterday": (timedelta(hours=24), 24, "Yesterday"),
    "7d": (timedelta(days=7), 28, "Last 7 days"),
    "30d": (timedelta(days=30), 30, "Last 30 days"),
}
# These start at midnight, so many days ago, where the visitor is.
DAYS_AGO = {"today": 0, "yesterday": 1}
CUSTOM_BARS = 30
DEFAULT_RANGE = "24h"
STATUSES = (Status.COMPLETED, Status.FAILED, Status.PROCESSING, Status.CANCELED)
LONGEST_NAME = 255
# Whether test events are listed, too, or no others.
TESTS = ("include", "only")


@dataclass(frozen=True)
class EventFilter:
    """`start` and `end` are set for a custom time range, which takes precedence over `range`.

    `reason` is an issue's, at `connection`.
    `zone` is the visitor's.
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
    tests: str = ""
    zone: tzinfo = UTC

    @classmethod
    def of(cls, asked: Mapping[str, str], zone: tzinfo = UTC) -> EventFilter:
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
            start=read_time("from", asked.get("from", ""), zone),
            end=read_time("to", asked.get("to", ""), zone),
            tests=asked.get("tests", "") if asked.get("tests") in TESTS else "",
            zone=zone,
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
            accepted_to=end if self.end or end < now else None,
            include_tests=bool(self.tests),
            only_tests=self.tests == "only",
        )

    def bounds(self, now: datetime) -> tuple[datetime, datetime]:
        end = self.end or now
        if self.range in DAYS_AGO and not (self.start or self.end):
            midnight = now.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0)
            start = midnight - timedelta(days=DAYS_AGO[self.range])  # by the clock on the wall
            return start.astimezone(UTC), min(now, (start + timedelta(days=1)).astimezone(UTC))
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
            "from": _stamp(self.start),
            "to": _stamp(self.end),
            "tests": self.tests,
        }
        return urlencode({name: value for name, value in (fields | changes).items() if value})

    def redelivery_address(self, now: datetime) -> str:
        """Return the query string that plans a redelivery of what failed in the same time range."""
        start, end = self.bounds(now)
        other = dict.fromkeys(("resource", "status", "redelivery", "range", "tests"))
        until = _stamp(end) if end < now else None
        return self.address(**other, **{"from": _stamp(start), "to": until or _stamp(self.end)})


def read_time(param: str, text: str, zone: tzinfo) -> datetime | None:
    """Read a time from an address, or from a `datetime-local` field, which has no zone of its own.

    Raises `ApiError` 400.
    """
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        at = (at.replace(tzinfo=zone) if at.tzinfo is None else at).astimezone(UTC)
    except (ValueError, OverflowError):
        raise bad_request(param, "must be a time such as 2026-11-23T18:00") from None
    if not 1970 <= at.year < 9000:
        raise bad_request(param, "must lie between 1970 and 9000")
    return at


def field_value(at: datetime | None, zone: tzinfo) -> str:
    """Write a time as a `datetime-local` field needs it."""
    return at.astimezone(zone).strftime("%Y-%m-%dT%H:%M:%S") if at else ""


def _stamp(at: datetime | None) -> str:
    """Write a time for an address, which may be opened in another zone."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else ""
