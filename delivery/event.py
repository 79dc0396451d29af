"""An event, and how it is read from whatever a backend sent."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from pydantic import AwareDatetime, JsonValue, ValidationError, create_model

from delivery.errors import InvalidEvent
from delivery.frozen_model import FrozenModel, JsonObject
from delivery.redelivery import Redelivery
from delivery.source import Source, read_source
from delivery.strict_json import MAX_DEPTH, check, nesting, parse
from delivery.text import CONTROL_CHARACTERS, holds_email, kind, utf8_size
from delivery.timestamps import EPOCH, read_iso, to_utc

# The vendor's limit for an event name in bytes (Track API reference, "event name cannot be longer
# than 100 bytes"); a name that can only fail later is refused at once.
MAX_NAME_BYTES = 100
MAX_RESOURCE_ID_BYTES = 255
MAX_ONLY_RULES = 100
# The header in which a webhook says how many of our webhooks its event has passed. An event that
# has passed more than MAX_HOPS is assumed to be in a loop.
HOPS = "X-Emitonce-Hops"
MAX_HOPS = 3
# A redelivery's input holds messages built from the payload, nested a few levels deeper.
MAX_PAYLOAD_DEPTH = MAX_DEPTH - 8

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Event(FrozenModel):
    """A product event. `id` is a UUID and the workflow's id; `timestamp` says when it happened.

    `read_event` returns the canonical form: ids in lower case, names without white space around
    them, the timestamp in UTC.
    """

    id: str
    workspace: str
    event: str
    payload: JsonObject
    resource: str = "global"
    resource_id: str | None = None
    timestamp: AwareDatetime
    only_rules: tuple[str, ...] | None = None
    test: bool = False
    identify_only: bool = False
    redelivery: Redelivery | None = None
    source: Source | None = None
    hops: int = 0


# An input's fields except the payload, not validated yet.
_BESIDE: dict[str, Any] = {
    name: (JsonValue, None) for name in Event.model_fields if name not in ("id", "payload")
}
_Beside = create_model("_Beside", __base__=FrozenModel, **_BESIDE)


def read_event(
    data: bytes | JsonValue, *, event_id: str, started_at: datetime, checked: bool = False
) -> Event:
    """Read a workflow's input: JSON as bytes, or the value parsed from it.

    `event_id` is the workflow's id; `started_at`, aware, is the default timestamp. `checked` says
    that the value comes from `strict_json.parse`. Unknown fields are ignored. `null` counts as
    absent in every optional field.

    Raises:
        InvalidEvent: names the field and what to do; never holds a value of the event.
    """
    if isinstance(data, bytes):
        value = parse(data)
    else:
        value = data
        if not checked:
            check(value)
    if not isinstance(value, dict):
        raise InvalidEvent("input", f"must be one JSON object, not {kind(value)}")
    return Event(
        id=_read_uuid("workflow id", event_id),
        workspace=_read_uuid("workspace", _required(value, "workspace")),
        event=_read_label("event", _required(value, "event")),
        payload=_read_payload(_required(value, "payload")),
        resource=_read_label("resource", _optional(value, "resource", "global")),
        resource_id=_read_resource_id(value.get("resource_id")),
        timestamp=_read_timestamp(value.get("timestamp"), started_at),
        only_rules=_read_only_rules(value.get("only_rules")),
        test=_read_flag("test", _optional(value, "test", False)),
        identify_only=_read_flag("identify_only", _optional(value, "identify_only", False)),
        redelivery=_read_redelivery(value.get("redelivery")),
        source=read_source(value.get("source")),
        hops=_read_hops(value.get("hops")),
    )


def read_without_payload(data: bytes, *, event_id: str, started_at: datetime) -> Event:
    """Read a large input quickly: skip its payload, and return the event with an empty one.

    Reading an event spends most of its time on the payload.

    Raises:
        InvalidEvent: as `read_event` does, except for faults of the payload.
    """
    try:
        beside = _Beside.model_validate_json(data)
    except ValidationError as err:
        if err.errors(include_url=False, include_input=False)[0]["type"] == "json_invalid":
            parse(data)  # raises with the better message
            raise InvalidEvent("input", "is not JSON in UTF-8") from None
        raise InvalidEvent("input", "must be one JSON object") from None
    fields = {name: getattr(beside, name) for name in beside.model_fields_set}
    return read_event({**fields, "payload": {}}, event_id=event_id, started_at=started_at)


def _required(fields: dict[str, JsonValue], name: str) -> JsonValue:
    if name not in fields:
        raise InvalidEvent(name, "is missing; it is required")
    return fields[name]


def _optional(fields: dict[str, JsonValue], name: str, default: JsonValue) -> JsonValue:
    value = fields.get(name)
    return default if value is None else value


def _read_uuid(field: str, value: JsonValue) -> str:
    if not isinstance(value, str):
        raise InvalidEvent(field, f"must be a UUID as a string, not {kind(value)}")
    if not _UUID.fullmatch(value):
        raise InvalidEvent(field, "must be a UUID such as 5f0c6a1e-3c1b-4d7e-9a51-0d6f2b8c7e44")
    return value.lower()


def _read_label(field: str, value: JsonValue) -> str:
    """Read a name that becomes a search attribute, which is stored in clear text.

    White space around it is removed, since rules have names without.
    """
    text = _read_string(field, value).strip()
    if not text:
        raise InvalidEvent(field, "must not be blank")
    _check_text(field, text, MAX_NAME_BYTES)
    if holds_email(text):
        raise InvalidEvent(
            field,
            "holds an e-mail address; names are shown in lists, so put personal data into payload",
        )
    return text


def _read_resource_id(value: JsonValue) -> str | None:
    if value is None:
        return None
    text = _read_string("resource_id", value)
    if not text.strip():
        raise InvalidEvent("resource_id", "must not be blank; leave it out or send null")
    _check_text("resource_id", text, MAX_RESOURCE_ID_BYTES)
    return text


def _read_string(field: str, value: JsonValue) -> str:
    if not isinstance(value, str):
        raise InvalidEvent(field, f"must be a string, not {kind(value)}")
    return value


def _check_text(field: str, text: str, limit: int) -> None:
    if (size := utf8_size(text)) > limit:
        raise InvalidEvent(field, f"is {size:,} bytes long, limit {limit}; shorten it")
    if CONTROL_CHARACTERS.search(text):
        raise InvalidEvent(field, "holds a control character or line break; remove it")


def _read_payload(value: JsonValue) -> dict[str, JsonValue]:
    if not isinstance(value, dict):
        raise InvalidEvent("payload", f"must be an object, not {kind(value)}; send {{}} if empty")
    if nesting(value) > MAX_PAYLOAD_DEPTH:
        raise InvalidEvent(
            "payload", f"is nested deeper than {MAX_PAYLOAD_DEPTH} levels; flatten it"
        )
    return value


def _read_timestamp(value: JsonValue, started_at: datetime) -> datetime:
    """Read an RFC 3339 time from 1970 on: messageIds can't hold earlier ones."""
    if value is None:
        return started_at.astimezone(UTC)
    if not isinstance(value, str):
        raise InvalidEvent(
            "timestamp", f"must be a string such as 2026-11-23T18:00:00.000Z, not {kind(value)}"
        )
    try:
        moment = to_utc(read_iso(value))
    except ValueError as err:
        raise InvalidEvent("timestamp", str(err)) from None
    if moment < EPOCH:
        raise InvalidEvent("timestamp", "lies before 1970; check the sender's clock")
    return moment


def _read_only_rules(value: JsonValue) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        raise InvalidEvent("only_rules", f"must be a list of rule ids or null, not {kind(value)}")
    if len(value) > MAX_ONLY_RULES:
        raise InvalidEvent(
            "only_rules",
            f"names {len(value):,} rules, limit {MAX_ONLY_RULES}; name fewer",
        )
    return tuple(dict.fromkeys(_read_uuid("only_rules", rule) for rule in value))


def _read_flag(field: str, value: JsonValue) -> bool:
    if not isinstance(value, bool):
        raise InvalidEvent(field, f"must be true or false, not {kind(value)}")
    return value


def _read_hops(value: JsonValue) -> int:
    """Read how many webhooks the event has passed; anything but such a count is ignored."""
    return value if type(value) is int and 0 < value <= MAX_HOPS else 0


def _read_redelivery(value: JsonValue) -> Redelivery | None:
    try:
        return Redelivery.model_validate(value) if value is not None else None
    except ValidationError:
        raise InvalidEvent(
            "redelivery", "is set only by the service when it redelivers an event; leave it out"
        ) from None
