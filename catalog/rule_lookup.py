"""Look up the rules that an event matches: one indexed query, repeated only after a change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from catalog import values
from catalog.cache import WorkspaceCache
from catalog.changes import Changes
from catalog.database import Pool, Record, fetch
from delivery.mapping_schema import MappingSchema
from delivery.rule import (
    MAX_RULES_PER_EVENT,
    MatchedRule,
    MatchRequest,
    MatchResult,
    RuleMetadata,
)

CAPACITY = 1_000  # pairs of workspace and event
# An event name can have any number of rules if each is for a resource of its own. Up to this many
# are cached and filtered here; if there are more, the database is asked for those that match.
LARGEST_HELD = 2 * MAX_RULES_PER_EVENT

# The workspace comes first, so that one query also shows whether it exists. The rules are limited
# before they are joined and sorted, in the order of their index: if they are too many, only as many
# are read as it takes to know that, and the planner doesn't search the whole table for the first.
_SELECT = """
    SELECT r.id, r.resource, r.resource_id, r.metadata,
           c.id AS connection, c.name AS connection_name, c.type, m.schema
    FROM workspaces w
    LEFT JOIN (
        SELECT * FROM rules WHERE workspace_id = $1 AND {rules}
        ORDER BY workspace_id, event, coalesce(resource, ''), coalesce(resource_id, '')
        LIMIT {limit}
    ) r ON true
    LEFT JOIN connections c ON c.id = r.connection_id
    LEFT JOIN mappings m ON m.connection_id = c.id
    WHERE w.id = $1
    ORDER BY r.created_at, r.id
"""
OF_EVENT = _SELECT.format(rules="active AND event = $2", limit=LARGEST_HELD + 1)
MATCHING = _SELECT.format(
    rules="""active AND event = $2
        AND coalesce(resource, '') = ANY ($3)
        AND coalesce(resource_id, '') = ANY ($4)""",
    limit="ALL",
)
BY_ID = _SELECT.format(rules="id = ANY ($2)", limit="ALL")


@dataclass(frozen=True)
class _Candidate:
    resource: str | None
    resource_id: str | None
    rule: MatchedRule

    def matches(self, request: MatchRequest) -> bool:
        return (
            self.resource in (None, request.resource)
            and self.resource_id in (None, request.resource_id)
            and (self.rule.metadata.accept == "all" or request.source is None)
        )


@dataclass(frozen=True)
class _Candidates:
    """All active rules of one event name; `rules` is None if they are too many to cache."""

    workspace_known: bool
    rules: tuple[_Candidate, ...] | None = ()


class Hashes(Protocol):
    """Keyed: what they return is stored where personal data mustn't be."""

    def resource_id(self, resource_id: str) -> str: ...

    def person(self, workspace: str, identifier: str) -> str: ...


class RuleLookup:
    def __init__(self, pool: Pool, changes: Changes, hashes: Hashes) -> None:
        self._pool = pool
        self._hashes = hashes
        self.hash_person = hashes.person
        self._cache: WorkspaceCache[str, _Candidates] = WorkspaceCache(changes, capacity=CAPACITY)

    async def match(self, request: MatchRequest) -> MatchResult:
        """Return the rules that the event matches, by (creation time, id).

        Nothing in the request is an error: a value that can't name anything matches nothing.

        Raises:
            CatalogUnavailable: they aren't cached, and the database is unavailable.
        """
        workspace = values.read_id(request.workspace)
        if workspace is None:
            return self._result(request, _Candidates(workspace_known=False))
        if request.exact and request.only_rules is not None:
            return self._result(request, await self._by_id(workspace, request.only_rules))
        event = request.event if _may_be_named(request.event) else ""
        held = await self._cache.get(
            str(workspace), event, lambda: self._of_event(workspace, event)
        )
        if held.rules is None:
            held = await self._matching(workspace, event, request)
        wanted = None if request.only_rules is None else {id.lower() for id in request.only_rules}
        matched = tuple(
            candidate
            for candidate in held.rules or ()
            if candidate.matches(request) and (wanted is None or candidate.rule.id in wanted)
        )
        return self._result(request, _Candidates(held.workspace_known, matched))

    async def _of_event(self, workspace: UUID, event: str) -> _Candidates:
        rows = await fetch(self._pool, OF_EVENT, workspace, event)
        if len(rows) > LARGEST_HELD:
            return _Candidates(workspace_known=True, rules=None)
        return _candidates(rows)

    async def _matching(self, workspace: UUID, event: str, request: MatchRequest) -> _Candidates:
        resources, ids = _any_or(request.resource), _any_or(request.resource_id)
        return _candidates(await fetch(self._pool, MATCHING, workspace, event, resources, ids))

    async def _by_id(self, workspace: UUID, ids: Iterable[str]) -> _Candidates:
        known = [id for id in map(values.read_id, ids) if id is not None]
        return _candidates(await fetch(self._pool, BY_ID, workspace, known))

    def _result(self, request: MatchRequest, candidates: _Candidates) -> MatchResult:
        resource_id = request.resource_id
        return MatchResult(
            workspace_known=candidates.workspace_known,
            rules=tuple(candidate.rule for candidate in candidates.rules or ()),
            resource_id_hash=None if resource_id is None else self._hashes.resource_id(resource_id),
        )


def _may_be_named(event: str) -> bool:
    """Say whether any rule can have this event; others needn't be cached."""
    return values.storable(event) and len(event.encode()) <= values.EVENT_BYTES


def _any_or(text: str | None) -> list[str]:
    """What an indexed column may hold to match: nothing, which means any, or the text."""
    return [""] if text is None or not values.storable(text) else ["", text]


def _candidates(rows: list[Record]) -> _Candidates:
    mappings: dict[UUID, MappingSchema | None] = {}  # read once a connection
    rules = []
    for row in rows:
        if row["id"] is None:  # only the workspace
            continue
        if row["connection"] not in mappings:
            schema = row["schema"]
            mappings[row["connection"]] = (
                None if schema is None else MappingSchema.model_validate(schema)
            )
        rule = MatchedRule(
            id=str(row["id"]),
            connection=str(row["connection"]),
            connection_name=row["connection_name"],
            integration_type=row["type"],
            metadata=RuleMetadata.model_validate(row["metadata"]),
            mapping=mappings[row["connection"]],
        )
        rules.append(_Candidate(row["resource"], row["resource_id"], rule))
    return _Candidates(workspace_known=bool(rows), rules=tuple(rules))
