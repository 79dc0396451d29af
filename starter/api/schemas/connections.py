"""Connections."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from catalog.values import CONNECTION_CHARACTERS
from starter.api.schemas.destinations import ChangedMetadata, ConnectionMetadata
from starter.api.schemas.shared import (
    Answer,
    Flag,
    Id,
    Input,
    IntegrationType,
    Maybe,
    Stamped,
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
