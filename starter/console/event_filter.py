"""What the list of events is narrowed down to, as its address says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from catalog.values import read_id
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
    """`start` and `end` are set for a time range of one's own, which goes before `range`."""

    event: str = ""
    resource: str = ""
    status: Status | None = None
    connection: str = ""
    redelivery: str = ""
    range: str = DEFAULT_RANGE
    start: datetime | None = None
    end: datetime | None = None
    tests: bool = False

    @classmethod
    def of(cls, asked: Mapping[str, str]) -> EventFilter:
        """Raises `ApiError` 400 for a time that can't be read; what is unknown is left out."""
        status = asked.get("status", "")
        connection = asked.get("connection", "")
        redelivery = asked.get("redelivery", "")
        return cls(
            event=asked.get("event", "").strip()[:LONGEST_NAME],
            resource=asked.get("resource", "").strip()[:LONGEST_NAME],
            status=Status(status) if status in STATUSES else None,
            connection=connection.lower() if read_id(connection) else "",
            redelivery=redelivery.lower() if read_id(redelivery) else "",
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
    def told(self) -> str:
        if self.start or self.end:
            return "The time chosen"
        return RANGES[self.range][2]

    def query(self, workspace: str, now: datetime, *, status: bool = True) -> EventQuery:
        start, end = self.bounds(now)
        return EventQuery(
            (workspace,),
            event=self.event or None,
            resource=self.resource or None,
            status=self.status if status else None,
            connection=self.connection or None,
            redelivery=self.redelivery or None,
            accepted_from=start,
            # What comes in while the page is made belongs to it.
            accepted_to=end if self.end else None,
            include_tests=self.tests,
        )

    def bounds(self, now: datetime) -> tuple[datetime, datetime]:
        end = self.end or now
        return self.start or end - RANGES[self.range][0], end

    def bars(self, now: datetime) -> tuple[int, timedelta]:
        """How many, and how wide each is."""
        start, end = self.bounds(now)
        number = CUSTOM_BARS if self.start or self.end else RANGES[self.range][1]
        return number, max((end - start) / number, timedelta(seconds=1))

    def address(self, **changes: str | None) -> str:
        """The query string for this, with something changed."""
        fields: dict[str, str | None] = {
            "event": self.event,
            "resource": self.resource,
            "status": self.status,
            "connection": self.connection,
            "redelivery": self.redelivery,
            "range": self.range if self.range != DEFAULT_RANGE else None,
            "from": local(self.start),
            "to": local(self.end),
            "tests": "include" if self.tests else None,
        }
        return urlencode({name: value for name, value in (fields | changes).items() if value})

    def redelivery_address(self, now: datetime) -> str:
        """The query string that plans a redelivery of what failed, in the same time."""
        start, _ = self.bounds(now)
        fields = {"from": local(start), "to": local(self.end)}
        fields |= {"event": self.event, "connection": self.connection}
        return urlencode({name: value for name, value in fields.items() if value})


def read_utc(param: str, text: str) -> datetime | None:
    """A time as a `datetime-local` field sends it, meant in UTC. Raises `ApiError` 400."""
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
    """As a `datetime-local` field wants it."""
    return at.strftime("%Y-%m-%dT%H:%M:%S") if at else ""
