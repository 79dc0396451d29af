"""Query parameters that several lists share."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import BeforeValidator

LARGEST_LIMIT = 200

_WHOLE = re.compile(r"[0-9]{1,9}")


def _whole(text: Any) -> Any:
    """Digits alone: what Python reads as a number besides is not what the document says."""
    if isinstance(text, str) and not _WHOLE.fullmatch(text):
        raise ValueError("must be a whole number")
    return text


Limit = Annotated[
    int, BeforeValidator(_whole), Query(ge=1, le=LARGEST_LIMIT, description="How many at most.")
]
Cursor = Annotated[
    str | None,
    Query(max_length=500, description="`next_cursor` of the page before; absent: the first page."),
]
DEFAULT_LIMIT = 50

WorkspaceId = Annotated[str, Path(json_schema_extra={"format": "uuid"})]
ConnectionId = Annotated[str, Path(json_schema_extra={"format": "uuid"})]
KeyId = Annotated[str, Path(json_schema_extra={"format": "uuid"})]
RuleId = Annotated[str, Path(json_schema_extra={"format": "uuid"})]
EventId = Annotated[str, Path(json_schema_extra={"format": "uuid"})]
AttemptId = Annotated[str, Path(json_schema_extra={"format": "uuid"})]
