"""Sessions of embedded pages."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictInt

from catalog.embed_sessions import MOST_ORIGINS
from starter.api.schemas.rules import ResourceId
from starter.api.schemas.shared import Answer, Id, Input, Maybe, Moment, Text

Role = Literal["member", "admin", "owner"]
SessionType = Literal["workspace", "resource", "dashboard"]
LaunchPage = Literal["dashboard", "connections", "rules", "events"]
SessionId = Annotated[
    str, Field(pattern=r"^sess_[0-9a-f-]{36}$", description="`sess_` and a UUID.")
]


class SessionInput(Input):
    """`resource` and `resource_id` are for sessions of type `resource`, which need both."""

    workspace_id: Annotated[Text, Field(json_schema_extra={"format": "uuid"})]
    role: Role = "member"
    session_type: SessionType = "workspace"
    external_user_id: Annotated[Text, Field(max_length=255)] | None = None
    ttl_seconds: Annotated[StrictInt, Field(ge=300, le=3600)] = 1800
    launch_ttl_seconds: Annotated[StrictInt, Field(ge=15, le=60)] = 30
    launch_page: LaunchPage = "dashboard"
    resource: Annotated[Text, Field(min_length=1, max_length=100)] | None = None
    resource_id: ResourceId | None = None
    allowed_origins: Annotated[list[Text], Field(max_length=MOST_ORIGINS)] | None = None
    scopes: Annotated[list[Literal["events.payload:read"]], Field(max_length=20)] = Field(
        default_factory=list
    )


class OfSession(Answer):
    session_id: SessionId
    workspace_id: Id
    role: Role
    session_type: SessionType
    expires_at: Annotated[Moment, Field(description="When its access token expires.")]
    resource: Maybe[str] = None
    resource_id: Maybe[str] = None


class RefreshedSession(OfSession):
    access_token: str
    expires_in: Annotated[int, Field(description="In seconds.")]


class CreatedSession(RefreshedSession):
    """`launch_url` opens the first page, once; after that the page is given the access token."""

    launch_token: str
    launch_expires_at: Moment
    launch_url: str


class Session(OfSession):
    external_user_id: Maybe[str] = None
    status: Literal["active", "revoked"]
    created_at: Moment
    is_expired: bool


class RevokedSession(Answer):
    revoked: bool
