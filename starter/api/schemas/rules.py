"""Rules, and trials of them."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from starter.api.schemas.destinations import RuleMetadata
from starter.api.schemas.shared import (
    Answer,
    Flag,
    Id,
    Input,
    IntegrationType,
    JsonObject,
    Maybe,
    Stamped,
    StrictInput,
    Text,
)

RuleEventName = Annotated[Text, Field(min_length=1, max_length=100)]
ResourceId = Annotated[Text, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]


def _without_defaults(schema: JsonObject) -> None:
    """What is left out is not set to anything."""
    for shown in schema["properties"].values():
        shown.pop("default", None)


class RuleInput(Input):
    """Without `resource` or `resource_id` the rule is for any."""

    workspace: Annotated[Text, Field(json_schema_extra={"format": "uuid"})]
    connection: Annotated[Text, Field(json_schema_extra={"format": "uuid"})]
    event: RuleEventName
    metadata: RuleMetadata
    resource: Annotated[Text, Field(min_length=1, max_length=100)] | None = None
    resource_id: ResourceId | None = None
    active: Flag | None = None
    hidden: Flag | None = None


class ChangedRule(StrictInput):
    """What is left out stays as it is; null for `resource` or `resource_id` means any."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra=_without_defaults)

    event: RuleEventName = ""
    metadata: RuleMetadata = Field(default_factory=dict)
    resource: Annotated[Text, Field(min_length=1, max_length=100)] | None = None
    resource_id: ResourceId | None = None
    active: Flag = True
    hidden: Flag = False


class NamedRule(Answer):
    id: Id
    connection: Id
    type: IntegrationType
    resource: Maybe[str] = None
    resource_id: Maybe[str] = None
    event: str


class Rule(NamedRule, Stamped):
    """`warnings` names metadata that is kept, but that no delivery reads."""

    workspace: Id
    metadata: JsonObject
    active: bool
    hidden: bool
    warnings: Maybe[list[str]] = None
    created_by: str


class CreatedRule(Answer):
    rule: Rule


class DeletedRule(NamedRule):
    pass


class RuleTrial(StrictInput):
    """What to try a rule with. The default is the rule's own event with a sample payload."""

    payload: JsonObject | None = None
    event: Annotated[Text, Field(min_length=1, max_length=100)] | None = None
    resource: Annotated[Text, Field(min_length=1, max_length=100)] | None = None
    resource_id: Text | None = None
    timestamp: Annotated[Text | None, Field(json_schema_extra={"format": "date-time"})] = None
