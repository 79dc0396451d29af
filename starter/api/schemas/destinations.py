"""What a connection and a rule say of their destination: documented by its fields.

Which fields there are depends on the type, so the values are checked by the catalog.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import WithJsonSchema

from destinations.destination import Action, Destination, Field
from destinations.registry import BY_TYPE
from starter.api.schemas.shared import JsonObject


def _connection(destination: Destination, *, whole: bool) -> JsonObject:
    needed = [one.key for one in destination.fields if one.required and one.only_with is None]
    return {
        "type": "object",
        "title": destination.label,
        "properties": {one.key: _value(one) for one in destination.fields},
        "required": [key for key in needed if whole],
    }


def _value(field: Field) -> JsonObject:
    schema: JsonObject = {"type": "string", "title": field.label}
    if field.options:
        schema["enum"] = [option.value for option in field.options]
    if field.secret:
        schema["description"] = "Never returned."
    return schema


def _rule(destination: Destination, action: Action) -> JsonObject:
    schema = action.metadata.model_json_schema()
    # Of its own, since generated clients name types by it.
    schema["title"] = f"{destination.label}: {action.label}"
    schema["properties"]["action"] = {"const": action.key}
    return schema


Metadata = dict[str, Any]
ConnectionMetadata = Annotated[
    Metadata, WithJsonSchema({"anyOf": [_connection(one, whole=True) for one in BY_TYPE.values()]})
]
# What is left out stays as it is.
ChangedMetadata = Annotated[
    Metadata, WithJsonSchema({"anyOf": [_connection(one, whole=False) for one in BY_TYPE.values()]})
]
# Other keys are kept, and the rule's `warnings` name them.
RuleMetadata = Annotated[
    Metadata,
    WithJsonSchema(
        {"anyOf": [_rule(one, action) for one in BY_TYPE.values() for action in one.actions]}
    ),
]
