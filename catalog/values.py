"""What the catalog accepts: checked once, here, so that no text ever fails inside PostgreSQL.

PostgreSQL can't store NUL, and asyncpg can't encode lone surrogates; JSON can contain both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from catalog.destinations import Destinations
from catalog.errors import InvalidValue, NotFound
from delivery.errors import InvalidField
from delivery.text import encodes_nul

EVENT_BYTES = 100
RESOURCE_BYTES = 100
METADATA_BYTES = 16_384
CONNECTION_CHARACTERS = 128
# Temporal accepts 400 bytes as the summary of an activity, which has the name in it, encrypted.
CONNECTION_BYTES = 160
CREATED_BY_CHARACTERS = 200
REQUESTS_PER_SECOND = 100_000  # the most that can be set

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_NAME = re.compile(r"[a-zA-Z0-9 _-]+")
_UNSTORABLE = re.compile(r"[\0\ud800-\udfff]")  # NUL, and lone surrogates
_RESOURCE_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def read_id(text: str) -> UUID | None:
    """Read a UUID in its usual form, in either case; None for anything else."""
    return UUID(text) if _UUID.fullmatch(text) else None


def known_id(noun: str, text: str) -> UUID:
    """Read an id. Raises `NotFound` for anything but a UUID, since nothing can have that id."""
    id = read_id(text)
    if id is None:
        raise NotFound(noun, text)
    return id


def storable(text: str) -> bool:
    """Say whether PostgreSQL can store the text."""
    return _UNSTORABLE.search(text) is None


def workspace_name(text: str) -> str:
    if not _NAME.fullmatch(text) or not 3 <= len(text) <= 50:
        raise InvalidValue("name", "must be 3 to 50 letters, digits, blanks, _ or -")
    return text


def connection_name(text: str) -> str:
    """Check a connection's name: any visible text, on one line."""
    size = len(text.encode(errors="surrogatepass"))
    if len(text) > CONNECTION_CHARACTERS or size > CONNECTION_BYTES:
        raise InvalidValue(
            "name",
            f"has {len(text)} characters ({size} bytes), must have at most "
            f"{CONNECTION_CHARACTERS} ({CONNECTION_BYTES}); shorten it",
        )
    if not text.strip():
        raise InvalidValue("name", "is blank; enter one")
    if not text.isprintable():
        raise InvalidValue(
            "name", "holds a line break or a character that can't be seen; remove it"
        )
    return text


def event_name(text: str, field: str = "event") -> str:
    return _bounded(field, text, EVENT_BYTES)


def resource(text: str | None) -> str | None:
    return None if text is None else _bounded("resource", text, RESOURCE_BYTES)


def resource_id(text: str | None) -> str | None:
    if text is not None and not _RESOURCE_ID.fullmatch(text):
        raise InvalidValue("resource_id", "must be 1 to 64 letters, digits, or any of . _ : -")
    return text


def request_rate(per_second: int) -> int:
    if not 0 <= per_second <= REQUESTS_PER_SECOND:
        raise InvalidValue(
            "requests_per_second",
            f"is {per_second}, must be 1 to {REQUESTS_PER_SECOND:,}, or 0 for the vendor's limit",
        )
    return per_second


def free_text(field: str, text: str, *, longest: int, shortest: int = 0) -> str:
    """Check text that is only shown. Lengths are in characters."""
    if not shortest <= len(text) <= longest:
        raise InvalidValue(field, f"has {len(text)} characters, must have {shortest} to {longest}")
    if not storable(text):
        raise InvalidValue(field, "holds a NUL or a lone surrogate: remove it")
    return text


def created_by(text: str) -> str:
    return free_text("created_by", text, longest=CREATED_BY_CHARACTERS)


def rule_metadata(
    destinations: Destinations, type: str, metadata: Mapping[str, Any]
) -> dict[str, Any]:
    try:
        stored = destinations.read_metadata(type, metadata)
    except InvalidField as err:
        raise InvalidValue(f"metadata.{err.field}", err.problem) from None
    return json_object("metadata", stored, largest=METADATA_BYTES)


def json_object(field: str, value: Mapping[str, Any], *, largest: int) -> dict[str, Any]:
    """Make a plain copy that jsonb can hold. `largest` is in bytes of UTF-8 JSON."""
    try:
        text = json.dumps(dict(value), ensure_ascii=False, allow_nan=False)
        size, copy = len(text.encode()), json.loads(text)
    except (TypeError, ValueError, RecursionError):
        raise InvalidValue(field, "is not JSON: no NaN, lone surrogate or deep nesting") from None
    if size > largest:
        raise InvalidValue(field, f"is {size} bytes of JSON, must be at most {largest}")
    if encodes_nul(text):
        raise InvalidValue(field, "holds a NUL character: remove it")
    return dict(copy)


def _bounded(field: str, text: str, longest: int) -> str:
    if not storable(text):
        raise InvalidValue(field, "holds a NUL or a lone surrogate: remove it")
    size = len(text.encode())
    if not text.strip() or size > longest:
        raise InvalidValue(field, f"is {size} bytes, must be 1 to {longest} and not only blanks")
    return text
