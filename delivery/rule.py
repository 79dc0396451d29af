"""A rule as the workflow sees it: the snapshot that `match_rules` records in history."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AwareDatetime,
    BeforeValidator,
    ConfigDict,
    StrictBool,
    ValidationError,
    WithJsonSchema,
)

from delivery.errors import MappingError
from delivery.frozen_model import FrozenModel, JsonObject
from delivery.mapping_schema import MappingSchema
from delivery.source import Source
from delivery.validation import first_fault

MAX_RULES_PER_EVENT = 100


def _read_flag(value: Any) -> Any:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


# Meshes' MCP server sends a rule's metadata as text.
Flag = Annotated[
    StrictBool,
    BeforeValidator(_read_flag),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "string", "enum": ["true", "false"]}]}),
]


class RuleMetadata(FrozenModel):
    """What every rule has. A destination's action may read further keys, see `Action`.

    Unknown keys are kept, since clients store their own. A rule whose `accept` is `backend`
    ignores events that were sent with a publishable key.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    action: str
    accept: Literal["all", "backend"] = "all"

    @classmethod
    def of(cls, rule: MatchedRule) -> Self:
        """Read what the action needs. Raises `MappingError` when it was stored with other types."""
        try:
            return cls.model_validate(rule.metadata.model_dump())
        except ValidationError as err:
            where, problem = first_fault(err)
            raise MappingError(f"metadata.{where}", problem) from None


class MatchedRule(FrozenModel):
    """A rule that an event matched, with the mapping as it was then.

    `mapping` is None when the connection has no stored mapping and the default applies. `build` is
    the version of the builder that makes its messages, on every attempt, worker and release; runs
    recorded before builders had versions have none, which means 1. With `anonymous_only`, no
    message may name a person.
    """

    id: str
    connection: str
    connection_name: str
    integration_type: str
    metadata: RuleMetadata
    mapping: MappingSchema | None = None
    build: int = 1
    anonymous_only: bool = False


class MatchRequest(FrozenModel):
    """The input of `match_rules`. With `only_rules`, no other rules are considered.

    If `exact`, they are used even if they are inactive or event, resource or source don't match:
    test events and redeliveries name their rules and are not matched again. `payload` is left out
    where the request is recorded, or the event is large.
    """

    workspace: str
    event: str
    resource: str
    resource_id: str | None = None
    only_rules: tuple[str, ...] | None = None
    source: Source | None = None
    payload: JsonObject | None = None
    exact: bool = False


class MatchResult(FrozenModel):
    """The rules that matched, in a stable order (creation time, id).

    `resource_id_hash` is a keyed hash for a search attribute, which must not hold personal data.
    `workspace_known` is False for a workspace that does not exist. `features` are those of
    `delivery.capabilities` that the run uses from here on. The limits of `delivery.size` apply to
    events accepted at `limited_since` or later, and to none when it is None. `people` are keyed
    hashes of the identifiers in the request's payload; None if it had none, or where events can't
    be searched by person.
    """

    workspace_known: bool
    rules: tuple[MatchedRule, ...] = ()
    resource_id_hash: str | None = None
    features: tuple[str, ...] = ()
    limited_since: AwareDatetime | None = None
    people: tuple[str, ...] | None = None
