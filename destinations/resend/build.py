"""Build the messages of each action from event × rule. Nothing random, nothing from a clock."""

from __future__ import annotations

from html import escape

from pydantic import JsonValue

from delivery.errors import MappingError
from delivery.event import Event
from delivery.mapping import Mapped, map_fields
from delivery.mapping_schema import same_names
from delivery.message import Message, Messages
from delivery.rule import MatchedRule
from delivery.text import kind
from delivery.transforms import is_blank
from destinations.anonymous import check_known
from destinations.event_name import name_of
from destinations.message_id import message_uuid
from destinations.resend import guards
from destinations.resend.metadata import ChangeSegment, SendEvent, SendTemplate

NAMES = {"firstName": "first_name", "lastName": "last_name"}
VARIABLES = "template_variables"
MAPPED_FIELDS = ("email", *NAMES, VARIABLES)

DEFAULT_MAPPING = same_names(MAPPED_FIELDS)

# The tag by which a mail is found at Resend, and from which its idempotency key is read.
MESSAGE_ID = "message_id"


def add_to_segment(event: Event, rule: MatchedRule) -> Messages:
    """Build the contact and its membership. Raises `MappingError`."""
    email, messages = _contact(event, rule)
    return messages.then("track", {"email": email, "segment_id": ChangeSegment.of(rule).id})


def remove_from_segment(event: Event, rule: MatchedRule) -> Messages:
    """Build the contact, which is kept, and the end of its membership. Raises `MappingError`."""
    email, messages = _contact(event, rule)
    segment = ChangeSegment.of(rule).id
    return messages.then("track", {"email": email, "segment_id": segment, "deleted": True})


def track_event(event: Event, rule: MatchedRule) -> Messages:
    """Build the contact and the event, with the whole payload. Raises `MappingError`."""
    name = name_of(event, SendEvent.of(rule).event_name_override)
    try:
        guards.read_event_name(name)
    except ValueError as err:
        raise MappingError("event name", f"{err}; set an event_name_override") from None
    email, messages = _contact(event, rule)
    return messages.then("track", {"event": name, "email": email, "payload": event.payload})


def send_email_template(event: Event, rule: MatchedRule) -> Messages:
    """Build the mail, with the same tag on every attempt and redelivery. Raises `MappingError`."""
    mapped = _mapped(event, rule)
    metadata = SendTemplate.of(rule)
    chosen = {"from": getattr(metadata, "from"), "subject": metadata.subject}
    variables = _variables(mapped)
    guards.check_variables(variables)
    if metadata.markup == "escape":
        variables = {key: _escaped(value) for key, value in variables.items()}
    body: dict[str, JsonValue] = {
        **{key: text.strip() for key, text in chosen.items() if text and not is_blank(text)},
        "to": [guards.address(mapped.values)],
        "template": {"id": metadata.id, "variables": variables},
        "tags": [{"name": MESSAGE_ID, "value": f"msg_{message_uuid(event, rule, 'send')}"}],
    }
    return Messages(messages=(Message(call="send", body=body),), warnings=mapped.warnings)


def _mapped(event: Event, rule: MatchedRule) -> Mapped:
    check_known(rule, "Resend")
    return map_fields(rule.mapping or DEFAULT_MAPPING, event.payload)


def _contact(event: Event, rule: MatchedRule) -> tuple[str, Messages]:
    """Return the address by which the contact is found, and only identify.

    What is mapped is set, everything else is left as it is at Resend. `unsubscribed` is never sent,
    so nobody is subscribed again.
    """
    mapped = _mapped(event, rule)
    email = guards.address(mapped.values)
    body: dict[str, JsonValue] = {"email": email}
    for key, field in NAMES.items():
        value = mapped.values.get(key)
        if value is not None and not is_blank(value):
            body[field] = guards.name(key, value)
    properties = {
        key: value
        for key, value in mapped.values.items()
        if key not in MAPPED_FIELDS and not key.startswith(f"{VARIABLES}.")
    }
    for key, value in properties.items():
        guards.check_property(key, value)
    if properties:
        body["properties"] = properties
    identify = Message(call="identify", body=body)
    return email, Messages(messages=(identify,), warnings=mapped.warnings)


def _variables(mapped: Mapped) -> dict[str, JsonValue]:
    """Collect those of the object, and those that are mapped one by one, which come first."""
    whole = mapped.values.get(VARIABLES, {})
    if not isinstance(whole, dict):
        raise MappingError(VARIABLES, f"is {kind(whole)}; it must be an object")
    single = {
        key.removeprefix(f"{VARIABLES}."): value
        for key, value in mapped.values.items()
        if key.startswith(f"{VARIABLES}.")
    }
    return {key: value for key, value in {**whole, **single}.items() if value is not None}


def _escaped(value: JsonValue) -> JsonValue:
    return escape(value) if isinstance(value, str) else value
