"""Publishable keys."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from catalog.api_key_rights import MOST_NAMED
from catalog.api_keys import NAME_CHARACTERS
from starter.api.schemas.rules import RuleEventName
from starter.api.schemas.shared import Answer, Flag, Id, Maybe, Moment, StrictInput, Text


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
