"""An event as a caller gives it, and the rules by which it is refused before it is sent.

They are the server's own (`delivery/event.py`), written a second time: what backends install can't
import the server, and the server's domain imports nothing. `tests/clients/test_same_rules.py` holds
the two together.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from emitonce.errors import InvalidEvent, InvalidSetup
from emitonce.payload import json_object
from emitonce.size import LARGEST_PAYLOAD, check_payload_size, is_small
from emitonce.timestamp import check_timestamp, timestamp_text

MAX_NAME_BYTES = 100
MAX_RESOURCE_ID_BYTES = 255

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_EMAIL = re.compile(r"[^\s@]@[^\s@]*\.[^\s@]")
_HEADER_KEY = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?")
_CONTROL_CHARACTERS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True)
class NewEvent:
    """An event for `emit_many`; the fields are what `emit` takes."""

    event: str
    payload: Mapping[str, Any]
    workspace: str | uuid.UUID | None = None
    resource: str | None = "global"
    resource_id: str | None = None
    timestamp: datetime | str | None = None
    idempotency_key: str | None = None


def checked_fields(new: NewEvent, workspace: str | uuid.UUID | None) -> dict[str, Any]:
    """The event's fields as JSON has them; `workspace` is that of an event which names none.

    Raises:
        InvalidEvent: the server would refuse it; names the field, in a payload the key's path.
    """
    if new.workspace is not None:
        _check_workspace(workspace := new.workspace)
    _check_label("event", new.event)
    if new.resource is not None:
        _check_label("resource", new.resource)
    if new.resource_id is not None:
        _check_resource_id(new.resource_id)
    timestamp = timestamp_text(new.timestamp)
    check_timestamp(timestamp)
    return {
        "workspace": None if workspace is None else str(workspace),
        "event": new.event,
        "payload": json_object(new.payload),
        "resource": new.resource,
        "resource_id": new.resource_id,
        "timestamp": timestamp,
    }


def own_workspace(workspace: str | uuid.UUID | None) -> str | uuid.UUID | None:
    """An emitter's own workspace. Raises `InvalidSetup`, since every event would have it."""
    if workspace is not None:
        try:
            _check_workspace(workspace)
        except InvalidEvent as err:
            raise InvalidSetup(str(err)) from None
    return workspace


def check_idempotency_key(key: object, *, in_header: bool = False) -> None:
    """Raises `InvalidEvent`: a blank key would make one event of all that come with it.

    A header of HTTP holds less than Temporal does.
    """
    if key is None:
        return
    if not isinstance(key, str) or not key.strip():
        raise InvalidEvent("idempotency_key: must be a string that is not blank, or None")
    if in_header and not _HEADER_KEY.fullmatch(key):
        raise InvalidEvent(
            "idempotency_key: must be 1 to 255 characters of ASCII without blanks around them"
        )


def encode(fields: Mapping[str, Any], largest_payload: int = LARGEST_PAYLOAD) -> bytes:
    """The bytes that are stored, and that an idempotency key stands for: never changed.

    Raises:
        InvalidEvent: they can't be JSON; `EventTooLarge` when they are too many.
    """
    body = _json(fields)
    if not is_small(body, largest_payload):
        check_payload_size(_json(fields["payload"]), largest_payload)
    return body


def _json(value: object) -> bytes:
    try:
        return json.dumps(
            value, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode()
    except UnicodeEncodeError:
        raise InvalidEvent("payload: holds half of a surrogate pair, which is not text") from None
    except (TypeError, ValueError, RecursionError) as err:
        raise InvalidEvent(f"payload: is not JSON: {err}") from None


def is_uuid(text: str) -> bool:
    """Whether `text` is a UUID in its usual form, in upper or lower case."""
    return _UUID.fullmatch(text) is not None


def _check_workspace(workspace: object) -> None:
    if not isinstance(workspace, str | uuid.UUID) or not is_uuid(str(workspace)):
        raise InvalidEvent(
            "workspace: must be a UUID such as 5f0c6a1e-3c1b-4d7e-9a51-0d6f2b8c7e44; "
            "`emitonce workspaces list` shows yours"
        )


def _check_label(field: str, value: object) -> None:
    """A name is stored in clear text. Blanks around it are the server's to cut off."""
    name = _text(field, value).strip()
    if not name:
        raise InvalidEvent(f"{field}: must not be blank")
    _check_line(field, name, MAX_NAME_BYTES)
    if _EMAIL.search(name):
        raise InvalidEvent(
            f"{field}: holds an e-mail address; names are shown in lists, so put personal data "
            "into payload"
        )


def _check_resource_id(value: object) -> None:
    text = _text("resource_id", value)
    if not text.strip():
        raise InvalidEvent("resource_id: must not be blank; leave it out or send None")
    _check_line("resource_id", text, MAX_RESOURCE_ID_BYTES)


def _text(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidEvent(f"{field}: must be a string, not {type(value).__name__}")
    return value


def _check_line(field: str, text: str, limit: int) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidEvent(f"{field}: holds half of a surrogate pair, which is not text") from None
    if size > limit:
        raise InvalidEvent(f"{field}: is {size:,} bytes long, limit {limit}; shorten it")
    if _CONTROL_CHARACTERS.search(text):
        raise InvalidEvent(f"{field}: holds a control character or line break; remove it")
