"""The filters of the list of events, as its address holds them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from urllib.parse import urlencode

from catalog.values import read_id
from delivery.reason import Reason
from delivery.result import Status
from delivery.timestamps import EPOCH
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
# How long a bar of less than a day may be.
_ROUND_SECONDS = (
    *(1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800),
    *(3_600, 7_200, 10_800, 21_600, 43_200),
)
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

    def query(self, workspace: str, now: datetime) -> EventQuery:
        start, end = self.bounds(now)
        return EventQuery(
            (workspace,),
            event=self.event or None,
            resource=self.resource or None,
            status=self.status,
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
        length, number, _ = RANGES[self.range]
        # Rounded, so that the first bar stays the same for a while, too.
        step = length / number / 12
        return self.start or end - length - (end - EPOCH) % step, end

    def bars(self, now: datetime) -> list[datetime]:
        """Return where the chart's bars start, and where the last one ends.

        They start at round times, where the visitor is, so that they stay the same as time passes.
        """
        start, end = self.bounds(now)
        length, number, _ = RANGES[self.range]
        if self.start or self.end:
            length, number = end - start, CUSTOM_BARS
        elif self.range in DAYS_AGO:
            length = end - start
        width = _round(length / number)
        midnight = start.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0)
        at = midnight.astimezone(UTC)
        at += ((start - at) // width + 1) * width
        edges = [start]
        while at < end:
            edges.append(at)
            at += width
        return [*edges, end if self.end or end < now else at]

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


def _round(width: timedelta) -> timedelta:
    """Return the shortest round length of a bar that is not shorter than `width`."""
    rounded = (timedelta(seconds=one) for one in _ROUND_SECONDS)
    days = timedelta(days=math.ceil(width / timedelta(days=1)))
    return next((one for one in rounded if one >= width), days)


def field_value(at: datetime | None, zone: tzinfo) -> str:
    """Write a time as a `datetime-local` field needs it."""
    return at.astimezone(zone).strftime("%Y-%m-%dT%H:%M:%S") if at else ""


def _stamp(at: datetime | None) -> str:
    """Write a time for an address, which may be opened in another zone."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else ""
