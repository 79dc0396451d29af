"""Workspaces, connections, rules and mappings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StrictInt

from catalog.api_key_rights import MOST_NAMED
from catalog.api_keys import NAME_CHARACTERS
from catalog.values import CONNECTION_CHARACTERS
from delivery.mapping_schema import MappingSchema
from starter.api.schemas.destinations import ChangedMetadata, ConnectionMetadata, RuleMetadata
from starter.api.schemas.shared import (
    Answer,
    Flag,
    Id,
    Input,
    IntegrationType,
    JsonObject,
    Maybe,
    Moment,
    StrictInput,
    Text,
)

ConnectionName = Annotated[
    Text,
    Field(
        min_length=1,
        max_length=CONNECTION_CHARACTERS,
        description="At most 160 bytes of UTF-8, without line breaks.",
    ),
]
ResourceId = Annotated[Text, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]


def _without_defaults(schema: JsonObject) -> None:
    """What is left out is not set to anything."""
    for shown in schema["properties"].values():
        shown.pop("default", None)


RuleEventName = Annotated[Text, Field(min_length=1, max_length=100)]


class Stamped(Answer):
    created_at: Moment
    updated_at: Moment


class WorkspaceInput(Input):
    name: Annotated[Text, Field(pattern=r"^[a-zA-Z0-9 _-]{3,50}$")]
    description: Annotated[Text, Field(max_length=1024)] | None = None


class Workspace(Stamped):
    id: Id
    name: str
    description: str | None


class PublishableKey(Answer):
    public_key: str
    name: str


Events = Annotated[
    list[RuleEventName],
    Field(
        min_length=1, max_length=MOST_NAMED, description="The events that it may emit; absent: any."
    ),
]
Origins = Annotated[
    list[Text],
    Field(
        min_length=1,
        max_length=MOST_NAMED,
        description="All web origins that it may be used from, such as "
        "`https://www.example.com`; absent: any. This stops other pages, not scripts.",
    ),
]
MayIdentify = Annotated[
    Literal["any", "anonymous"],
    Field(description="`anonymous`: no user id and no e-mail address, not as a trait either."),
]


class KeyRightsInput(StrictInput):
    """All that the key may do from now on. `kept_wide`: it is wide on purpose."""

    events: Events | None = None
    origins: Origins | None = None
    identify: MayIdentify = "any"
    kept_wide: Flag = False


class PublishableKeyInput(KeyRightsInput):
    """Absent rights are those of the key that it `replaces`, else the widest."""

    name: Annotated[Text, Field(min_length=1, max_length=NAME_CHARACTERS)]
    identify: MayIdentify | None = None  # type: ignore[assignment]
    replaces: Annotated[Text | None, Field(json_schema_extra={"format": "uuid"})] = None


class PublishableKeyView(PublishableKey):
    id: Id
    workspace: Id
    events: Maybe[list[str]] = None
    origins: Maybe[list[str]] = None
    identify: MayIdentify
    kept_wide: bool
    created_by: str
    created_at: Moment
    revoked_at: Moment | None


class CreatedPublishableKey(Answer):
    publishable_key: PublishableKeyView


class WorkspaceWithKey(Workspace):
    """`publishable_key` is the newest in use; null when all are revoked."""

    publishable_key: PublishableKey | None


class CreatedWorkspace(Answer):
    workspace: Workspace


class CatalogEntry(Stamped):
    id: Id
    key: str
    label: str
    description: str | None
    active: bool
    created_by: str | None


SkipTest = Annotated[
    Flag, Field(description="Save a webhook without sending it a test message first.")
]


class ConnectionInput(Input):
    workspace: Annotated[Text, Field(json_schema_extra={"format": "uuid"})]
    type: IntegrationType
    name: ConnectionName
    metadata: ConnectionMetadata
    hidden: Flag = False
    skip_test: SkipTest = False


class ChangedConnection(Input):
    name: ConnectionName
    metadata: ChangedMetadata
    hidden: Flag | None = None
    skip_test: SkipTest = False


class DeleteConnection(Input):
    force_delete: Flag = False


class Connection(Stamped):
    """`metadata` has no secrets; none is ever shown.

    `warnings` comes with a change of which held deliveries could not be notified yet.
    """

    id: Id
    workspace: Id
    type: IntegrationType
    name: str
    metadata: dict[str, str]
    active: bool
    status: Literal["active", "paused", "inactive"]
    inactive_reason: Maybe[
        Literal[
            "authentication_invalid",
            "oauth_authorization_revoked",
            "oauth_reauthorization_required",
            "manually_inactivated",
        ]
    ] = None
    hidden: bool
    warnings: Maybe[list[str]] = None
    created_by: str


class CreatedConnection(Answer):
    connection: Connection


class DeletedConnection(Answer):
    id: Id
    type: IntegrationType
    warnings: Maybe[list[str]] = None


class VerifiedConnection(Answer):
    """`region` is where the secret is right, if anywhere. `unknown`: there was no usable answer."""

    connection: Id
    verdict: Literal["ok", "wrong_key", "wrong_region", "unknown"]
    region: str | None
    message: str


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


class MappingInput(Input):
    """`expected_version` is the version that was read; 0 also stands for the generated one's."""

    mapping: Annotated[MappingSchema, Field(alias="schema")]
    name: Annotated[Text, Field(min_length=1, max_length=64)] | None = None
    mapping_id: Annotated[Text | None, Field(json_schema_extra={"format": "uuid"})] = None
    workspace_id: Annotated[Text | None, Field(json_schema_extra={"format": "uuid"})] = None
    expected_version: Annotated[StrictInt, Field(ge=0, le=2_147_483_647)] | None = None


class OfConnection(Stamped):
    id: Id
    workspace_id: Id
    connection_id: Id
    integration_type: IntegrationType
    catalog_version: str


class Mapping(OfConnection):
    mapping_id: Id
    version: Annotated[int, Field(ge=1)]
    name: str
    mapping: Annotated[MappingSchema, Field(alias="schema")]
    created_by: Maybe[str] = None


class MappingResult(Answer):
    """`generated`: none is stored, and payload keys map to the fields of the same name."""

    status: Literal["stored", "generated"]
    mapping: Mapping


class Constraints(Answer):
    format: Maybe[str] = None
    required: Maybe[bool] = None
    max_length: Maybe[int] = None


class CatalogField(Answer):
    key: str
    label: str
    type: Literal["string"]
    description: str
    constraints: Constraints


class FieldCatalog(OfConnection):
    refreshed_at: Moment
    created_by: str
    fields: list[CatalogField]
