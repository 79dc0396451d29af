"""The query parameters that lists share, and how a page of one is answered."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, TypeVar

from fastapi import Path, Query
from pydantic import BeforeValidator

from catalog.paging import DEFAULT_LIMIT as DEFAULT_LIMIT
from catalog.paging import LARGEST_LIMIT, Page
from delivery.timestamps import read_iso, to_utc
from starter.api.errors import bad_request
from starter.json_objects import JsonObject, page_object

T = TypeVar("T")

_WHOLE = re.compile(r"[0-9]{1,9}")


def _whole(text: Any) -> Any:
    """Accept only digits: Python also reads `+1` and `1_0` as numbers, unlike the document."""
    if isinstance(text, str) and not _WHOLE.fullmatch(text):
        raise ValueError("must be a whole number")
    return text


Limit = Annotated[
    int,
    BeforeValidator(_whole),
    Query(ge=1, le=LARGEST_LIMIT, description="The most records to return."),
]
Cursor = Annotated[
    str | None,
    Query(max_length=500, description="`next_cursor` of the page before; absent: the first page."),
]
FilterMoment = Annotated[
    str | None, Query(json_schema_extra={"format": "date-time"}, max_length=64)
]
PathId = Annotated[str, Path(json_schema_extra={"format": "uuid"})]


def read_filter_moment(param: str, text: str | None) -> datetime | None:
    """Read a time from the address. Raises `ApiError` 400."""
    try:
        return to_utc(read_iso(text)) if text is not None else None
    except ValueError as err:
        raise bad_request(param, str(err)) from None


def page_of(found: Page[T], limit: int, record_object: Callable[[T], JsonObject]) -> JsonObject:
    """Turn a page of the catalog's into an answer."""
    return page_object([record_object(one) for one in found.records], limit, found.next_cursor)
