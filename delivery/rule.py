"""A rule as the workflow sees it: the snapshot that `match_rules` leaves in history."""

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
from delivery.mapping_schema import MappingSchema
from delivery.source import Source
from delivery.validation import problem
from delivery.values import Value

MAX_RULES_PER_EVENT = 100


def _read_flag(value: Any) -> Any:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


# Meshes' MCP server sends a rule's metadata as text.
Flag = Annotated[
    StrictBool,
    BeforeValidator(_read_flag),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "string", "enum": ["true", "false"]}]}),
]


class RuleMetadata(Value):
    """What every rule says. What its action reads besides is the destination's, see `Action`.

    Unknown keys are kept: clients store their own. With `accept` of `backend` it matches no event
    that came with a publishable key.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    action: str
    accept: Literal["all", "backend"] = "all"

    @classmethod
    def of(cls, rule: MatchedRule) -> Self:
        """What the rule's action reads. Raises `MappingError`: it was stored with other types."""
        try:
            return cls.model_validate(rule.metadata.model_dump())
        except ValidationError as err:
            where = ".".join(str(part) for part in err.errors()[0]["loc"])
            raise MappingError(f"metadata.{where}", problem(err.errors()[0])) from None


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
    integration_type: str
    metadata: RuleMetadata
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
