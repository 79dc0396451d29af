"""What a rule says about `track_event`, and the fields that a mapping can fill."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, StrictStr, WithJsonSchema

from delivery.rule import Flag, RuleMetadata

# Without a stored mapping, payload keys of the same names fill these. The last one is not a trait.
MAPPED_FIELDS = ("email", "userId", "anonymousId", "event_name_override")

MOST_PROPERTIES = 100  # that a rule can name
LONGEST_PROPERTY = 128  # characters


def read_track_properties(value: Any) -> Any:
    """Read `none`, `payload`, or keys: a list, or, from forms and the command line, divided by
    commas.

    Raises:
        ValueError: it is something else; says what it may be.
    """
    if value in ("none", "payload"):
        return value
    keys = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    if not isinstance(keys, list | tuple) or not all(isinstance(key, str) for key in keys):
        raise ValueError("must be none, payload, or keys of the payload")
    keys = tuple(dict.fromkeys(key for key in keys if key.strip()))
    if len(keys) > MOST_PROPERTIES:
        raise ValueError(f"names {len(keys)} keys, must name at most {MOST_PROPERTIES}")
    if any(len(key) > LONGEST_PROPERTY for key in keys):
        raise ValueError(f"names a key of more than {LONGEST_PROPERTY} characters; leave it out")
    return keys or "none"


TrackProperties = Annotated[
    Literal["none", "payload"] | tuple[StrictStr, ...],
    BeforeValidator(read_track_properties),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "enum": ["none", "payload"]},
                {"type": "array", "items": {"type": "string"}, "maxItems": MOST_PROPERTIES},
            ]
        }
    ),
]


class TrackEvent(RuleMetadata):
    """`event_name_override` replaces the event's name.

    `track_properties` are what the event carries: the payload, or only these keys of it.

    If `on_limit` is `drop`, what exceeds a limit is left out. `allow_commands` sends event names
    that are commands at Customer.io. With `send_nulls`, traits of null are sent, not left out.
    """

    event_name_override: str | None = None
    track_properties: TrackProperties = "none"
    on_limit: Literal["fail", "drop"] = "fail"
    allow_commands: Flag = False
    send_nulls: Flag = False
