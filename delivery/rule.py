"""A rule as the workflow sees it: the snapshot that `match_rules` leaves in history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from delivery.labels import shown
from delivery.mapping_schema import MappingSchema
from delivery.source import Source
from delivery.values import Value

MAX_RULES_PER_EVENT = 100

CUSTOMER_IO = "customer_io"


class RuleMetadata(Value):
    """What a rule says about its action. Unknown keys are kept: clients store their own."""

    model_config = ConfigDict(frozen=True, extra="allow")

    action: str = "track_event"
    event_name_override: str | None = None
    on_limit: Literal["fail", "drop"] = "fail"
    allow_commands: bool = False
    send_nulls: bool = False
    accept: Literal["all", "backend"] = "all"


class MatchedRule(Value):
    """One rule that an event matched, with the mapping in force at that moment.

    `mapping` is None when the connection has no stored mapping and the default one applies.
    `build` is the version of the builder that makes its messages, the same on every attempt,
    worker and release; runs recorded before builders had versions have none, which means 1.
    With `anonymous_only` no message is built that names a person.
    """

    id: str
    connection: str
    connection_name: str
    integration_type: str = CUSTOMER_IO
    metadata: RuleMetadata = Field(default_factory=RuleMetadata)
    mapping: MappingSchema | None = None
    build: int = 1
    anonymous_only: bool = False


class MatchRequest(Value):
    """What `match_rules` is asked. With `only_rules` those alone are considered."""

    workspace: str
    event: str
    resource: str
    resource_id: str | None = None
    only_rules: tuple[str, ...] | None = None
    source: Source | None = None
    exact: bool = False
    """Take `only_rules` as they are, whether or not event, resource, source and activity match.

    A test event or a redelivery names its rules; it isn't matched anew.
    """


class MatchResult(Value):
    """The rules that matched, in a stable order (creation time, id).

    `resource_id_hash` is a keyed hash of the resource id, fit for a search attribute, where no
    personal data may stand. `workspace_known` is False for a workspace that does not exist.
    `features` are those of `delivery.capabilities` that the run uses from here on. Events accepted
    at `limited_since` or later are held to the limits of `delivery.size`; absent, none is.
    """

    workspace_known: bool
    rules: tuple[MatchedRule, ...] = ()
    resource_id_hash: str | None = None
    features: tuple[str, ...] = ()
    limited_since: AwareDatetime | None = None


def unread_metadata(stored: Mapping[str, Any]) -> tuple[str, ...]:
    """A warning for each key that is kept for the client that set it, but that nothing reads."""
    read = tuple(RuleMetadata.model_fields)
    return tuple(
        f"metadata.{shown(name)} is kept but not read: only {', '.join(read)} are"
        for name in stored
        if name not in read
    )


def metadata_from(stored: dict[str, Any]) -> RuleMetadata:
    return RuleMetadata.model_validate(stored)
