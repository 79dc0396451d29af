"""A workspace's configuration as a file: connections without secrets, their mappings, rules.

Things are found by their names, so that a file from one installation can be applied to another. A
connection has to exist, since its secrets are in no file. Rules have no names: one that doesn't
stay as it is takes the place of another for the same events and connection.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from catalog import values
from catalog.all_or_nothing import Writing
from catalog.connections import Connection as StoredConnection
from catalog.errors import Conflict, InvalidValue, NotFound
from catalog.paging import read_all
from catalog.rule_change import RuleChange
from catalog.rules import Rule as StoredRule
from delivery.mapping_schema import MappingSchema
from destinations import registry
from destinations.registry import BY_TYPE
from starter.json_objects import JsonObject
from starter.known_destinations import destination_of
from starter.mapping_objects import catalog_version


class _Part(BaseModel):
    """A misspelled key is refused, since what a file lacks would be removed."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Connection(_Part):
    """Without `mapping`, the mapping stays as it is."""

    name: StrictStr
    type: StrictStr
    settings: dict[str, StrictStr] = {}
    requests_per_second: StrictInt | None = None
    hidden: StrictBool = False
    mapping: MappingSchema | None = None


class Rule(_Part):
    """`connection` is a name."""

    connection: StrictStr
    event: StrictStr
    resource: StrictStr | None = None
    resource_id: StrictStr | None = None
    active: StrictBool = True
    hidden: StrictBool = False
    metadata: JsonObject = {}

    @property
    def place(self) -> tuple[str | None, ...]:
        return (self.connection, self.event, self.resource, self.resource_id)


class Workspace(_Part):
    name: StrictStr
    connections: tuple[Connection, ...] = ()
    rules: tuple[Rule, ...] = ()


class Configuration(_Part):
    """`revision` is that of what was exported; without one, others' changes go unnoticed."""

    emitonce: Literal[1]
    revision: StrictStr | None = None
    workspaces: Annotated[tuple[Workspace, ...], Field(min_length=1)]


@dataclass(frozen=True)
class Change:
    """`fields` are pairs of what is stored and what it becomes."""

    change: Literal["create", "update", "delete"]
    kind: Literal["connection", "mapping", "rule"]
    workspace: str
    name: str
    id: str
    fields: dict[str, tuple[Any, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Stored:
    """A workspace as it is stored, and what belongs to each part of it."""

    id: str
    workspace: Workspace
    connections: dict[str, StoredConnection]
    rules: Sequence[StoredRule]
    versions: dict[str, int]


async def read_stored(writing: Writing, organization: str, id: str, name: str) -> Stored:
    """Read a workspace. Raises `Conflict` if two of its connections have the same name."""
    found = await read_all(writing.connections.list, organization, workspace=id)
    connections = {one.name: one for one in found}
    if len(connections) < len(found):
        names = [one.name for one in found]
        twice = next(one for one in names if names.count(one) > 1)
        raise Conflict(
            f"workspace {name}: two connections are named {twice!r}: rename one with "
            "`emitonce connections update`"
        )
    rules = await read_all(writing.rules.list, organization, workspace=id)
    mappings = {one.id: await writing.mappings.default(organization, one.id) for one in found}
    names_by_id = {one.id: one.name for one in found}
    workspace = Workspace(
        name=name,
        connections=tuple(
            Connection(
                name=one.name,
                type=one.type,
                settings=dict(one.settings),
                requests_per_second=one.requests_per_second,
                hidden=one.hidden,
                mapping=stored.schema if (stored := mappings[one.id]) else None,
            )
            for one in sorted(found, key=lambda one: one.name)
        ),
        rules=tuple(_rule(one, names_by_id[one.connection]) for one in _ordered(rules)),
    )
    versions = {id: one.version for id, one in mappings.items() if one}
    return Stored(id, workspace, connections, _ordered(rules), versions)


def _ordered(rules: Iterable[StoredRule]) -> list[StoredRule]:
    return sorted(rules, key=lambda rule: (rule.created_at, rule.id))


def _rule(rule: StoredRule, connection: str) -> Rule:
    return Rule(
        connection=connection,
        event=rule.event,
        resource=rule.resource,
        resource_id=rule.resource_id,
        active=rule.active,
        hidden=rule.hidden,
        metadata=rule.metadata,
    )


def document(stored: Iterable[Stored]) -> JsonObject:
    """Return what a file holds. What is as it is by default is left out."""
    workspaces = [one.workspace.model_dump(mode="json", exclude_defaults=True) for one in stored]
    for shown, one in zip(workspaces, stored, strict=True):
        for connection, known in zip(
            shown.get("connections", ()), one.workspace.connections, strict=False
        ):
            if known.mapping is not None:
                connection["mapping"] = known.mapping.document()
    return {"emitonce": 1, "revision": revision(workspaces), "workspaces": workspaces}


def revision(workspaces: Sequence[JsonObject]) -> str:
    canonical = json.dumps(workspaces, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Applying:
    """Makes a workspace as a file has it, and collects what changes."""

    writing: Writing
    organization: str
    created_by: str
    stored: Stored
    changes: list[Change]

    async def workspace(self, wanted: Workspace) -> None:
        """Raises the catalog's errors; `NotFound` for a connection that isn't here."""
        for connection in wanted.connections:
            await self._connection(connection)
        await self._rules([self._as_stored(rule) for rule in wanted.rules])

    def _as_stored(self, rule: Rule) -> Rule:
        to = self.stored.connections.get(rule.connection)
        if to is None:
            raise self._foreign(rule.connection)
        metadata = values.rule_metadata(registry, to.type, rule.metadata)
        return rule.model_copy(update={"metadata": metadata})

    def _foreign(self, name: str) -> NotFound:
        return NotFound(f"connection in workspace {self.stored.workspace.name!r} named", name)

    async def _connection(self, wanted: Connection) -> None:
        known = self.stored.connections.get(wanted.name)
        if known is None:
            raise self._foreign(wanted.name)
        if known.type != wanted.type:
            problem = f"connection {wanted.name!r} is of type {known.type}, which can't change"
            raise InvalidValue("type", problem)
        secrets = BY_TYPE[known.type].secret_keys if known.type in BY_TYPE else ()
        for key in wanted.settings.keys() & set(secrets):
            raise InvalidValue(f"settings.{key}", "is a secret, which doesn't belong in a file")
        before = dict(known.settings)
        fields: dict[str, tuple[Any, Any]] = {
            f"settings.{key}": (before.get(key), wanted.settings.get(key))
            for key in sorted(before.keys() | wanted.settings.keys())
            if before.get(key) != wanted.settings.get(key)
        }
        for name in ("requests_per_second", "hidden"):
            old, new = getattr(known, name), getattr(wanted, name)
            if old != new:
                fields[name] = (old, new)
        if fields:
            await self.writing.connections.update(
                self.organization,
                known.id,
                fields={
                    key.removeprefix("settings."): new or ""
                    for key, (_, new) in fields.items()
                    if key.startswith("settings.")
                },
                hidden=wanted.hidden,
                requests_per_second=wanted.requests_per_second or 0,
            )
            self._add("update", "connection", wanted.name, known.id, fields)
        await self._mapping(known, wanted.mapping)

    async def _mapping(self, known: StoredConnection, wanted: MappingSchema | None) -> None:
        current = await self.writing.mappings.default(self.organization, known.id)
        old = current.schema.document() if current else None
        new = wanted.document() if wanted else old
        if old == new or wanted is None:
            return
        await self.writing.mappings.put_default(
            self.organization,
            known.id,
            schema=wanted,
            expected_version=self.stored.versions.get(known.id, 0),
            catalog_version=catalog_version(destination_of(known.type)),
            created_by=self.created_by,
        )
        self._add("update", "mapping", known.name, known.id, {"schema": (old, new)})

    async def _rules(self, wanted: list[Rule]) -> None:
        names = {one.id: one.name for one in self.stored.connections.values()}
        left = [(one, _rule(one, names[one.connection])) for one in self.stored.rules]
        for same in tuple(left):
            if same[1] in wanted:
                wanted.remove(same[1])
                left.remove(same)
        replaced = []
        for rule in tuple(wanted):
            if pair := next((one for one in left if one[1].place == rule.place), None):
                replaced.append((pair, rule))
                left.remove(pair)
                wanted.remove(rule)
        for gone, before in left:  # first, so that there is room for others
            await self.writing.rules.delete(self.organization, gone.id)
            self._add("delete", "rule", _name(before), gone.id)
        for (known, before), after in replaced:
            change = {"metadata": after.metadata, "active": after.active, "hidden": after.hidden}
            await self.writing.rules.update(self.organization, known.id, RuleChange(**change))
            fields = {
                name: (getattr(before, name), value)
                for name, value in change.items()
                if getattr(before, name) != value
            }
            self._add("update", "rule", _name(after), known.id, fields)
        for rule in wanted:
            made = await self.writing.rules.create(
                self.organization,
                workspace=self.stored.id,
                created_by=self.created_by,
                **rule.model_dump(exclude={"connection"}),
                connection=self.stored.connections[rule.connection].id,
            )
            self._add("create", "rule", _name(rule), made.id)

    def _add(
        self,
        change: Literal["create", "update", "delete"],
        kind: Literal["connection", "mapping", "rule"],
        name: str,
        id: str,
        fields: dict[str, tuple[Any, Any]] | None = None,
    ) -> None:
        workspace = self.stored.workspace.name
        self.changes.append(Change(change, kind, workspace, name, id, fields or {}))


def _name(rule: Rule) -> str:
    of = " ".join(filter(None, (rule.resource, rule.resource_id)))
    return f"{rule.event}{f' of {of}' if of else ''} → {rule.connection}"
