"""The time zone in which a visitor reads times: what their browser says, else UTC.

It says so in a cookie, or, where an embedded page uses none, in a header.
"""

from __future__ import annotations

from contextvars import ContextVar
from datetime import UTC, datetime, tzinfo

from starlette.requests import Request

from delivery.transforms import TransformError, zone

COOKIE = "emitonce_zone"
HEADER = "x-time-zone"

# Of the page that is rendered, for filters of templates, which are given no request.
ZONE: ContextVar[tzinfo] = ContextVar("zone", default=UTC)


def zone_of(request: Request) -> tzinfo:
    try:
        return zone(request.headers.get(HEADER) or request.cookies.get(COOKIE))
    except TransformError:
        return UTC


def localized(at: datetime) -> datetime:
    return at.astimezone(ZONE.get())


def in_utc() -> bool:
    """Whether the page has to say that its times are UTC."""
    return ZONE.get() is UTC
