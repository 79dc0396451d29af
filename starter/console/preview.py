"""Preview the requests of a rule as it is typed; nothing is sent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from delivery.errors import InvalidEvent, MappingError
from delivery.mapping_schema import MappingSchema
from delivery.message import Message
from delivery.rule import MatchedRule, RuleMetadata
from delivery.strict_json import parse
from starter.console.message_table import MessageTable, tables
from starter.console.payload_keys import missing, more_keys, paths
from starter.console.rule_form import RuleForm
from starter.console.words import sentence
from starter.rule_trial import NIL, unsent_event
from starter.rule_trial import preview as preview_of
from starter.test_person import is_about_test_person


@dataclass(frozen=True)
class Preview:
    """Either all requests, or a `fault` that says where to look.

    `paths` and `keys` are what the form offers to choose from, `nowhere` what it names but the
    payload lacks. `of_test_person` says whether a test event would be about the test person.
    """

    messages: tuple[Message, ...] = ()
    warnings: tuple[str, ...] = ()
    fault: str | None = None
    fault_of: str | None = None
    nowhere: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    @property
    def tables(self) -> list[MessageTable]:
        return tables(self.messages)

    @property
    def of_test_person(self) -> bool:
        return any(is_about_test_person(message.encode().decode()) for message in self.messages)


def read_payload(text: str) -> dict[str, Any]:
    """Read the payload box. Raises `InvalidEvent`."""
    try:
        value = parse(text.encode())
    except UnicodeEncodeError:
        raise InvalidEvent("payload", "has a broken character (half a surrogate pair)") from None
    if not isinstance(value, dict):
        raise InvalidEvent("payload", "must be one JSON object, in { and }")
    return value


def preview(
    form: RuleForm, schema: MappingSchema | None, *, workspace: str, rule: str | None, build: int
) -> Preview:
    """Return what this build would send.

    `rule` is the id of a stored rule: ids of messages are made of it.
    """
    try:
        payload = read_payload(form.payload)
    except InvalidEvent as err:
        return Preview(fault=sentence(f"{err.field} {err.reason}"), fault_of="Event")
    shown = Preview(
        nowhere=tuple(missing(form, payload)),
        paths=tuple(paths(payload)),
        keys=tuple(more_keys(form.given.get("track_properties", ""), payload)),
    )
    if schema is None:
        fault = "A row of the mapping can't be read. See the table."
        return replace(shown, fault=fault, fault_of="Mapping")
    try:
        event = unsent_event(
            {
                "workspace": workspace,
                "event": form.event or "event.name",
                "payload": payload,
                "resource": form.resource or None,
                "resource_id": form.resource_id or None,
            }
        )
        matched = MatchedRule(
            id=rule or NIL,
            connection=form.connection or NIL,
            connection_name="",
            integration_type=form.destination.type,
            metadata=RuleMetadata.model_validate(form.metadata()),
            mapping=schema,
            build=build,
        )
        messages = preview_of(event, matched)
    except InvalidEvent as err:
        return replace(shown, fault=sentence(f"{err.field} {err.reason}"), fault_of="Event")
    except MappingError as err:
        return replace(shown, fault=sentence(str(err)), fault_of="Not sent")
    except ValidationError:
        return replace(shown, fault="An option of the rule can't be read.", fault_of="Options")
    return replace(shown, messages=messages.messages, warnings=messages.warnings)
