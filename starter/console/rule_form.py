"""Show a rule with its connection's mapping as one form, and read it back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from catalog.mappings import GENERATED_VERSION
from catalog.mappings import Mapping as StoredMapping
from catalog.rules import Rule
from delivery.mapping_schema import MappingSchema
from destinations.destination import Action, Destination
from starter.console.forms import Form
from starter.console.mapping_form import Row, read_rows, read_schema, rows_of
from starter.known_destinations import destination_of

# Of a choice, that it is what stands in the field beside it.
OTHERS = "*"


@dataclass
class RuleForm:
    """A rule as it is typed. `faults` are shown beside their fields, by name.

    `given` is what stands in the fields of the action, by key. `destination` is its connection's.
    """

    destination: Destination
    event: str = ""
    resource: str = ""
    resource_id: str = ""
    connection: str = ""
    action_key: str = ""
    given: dict[str, str] = field(default_factory=dict)
    accept: str = "all"
    active: bool = True
    payload: str = ""
    payload_note: str = ""
    rows: list[Row] = field(default_factory=list)
    mapping_version: int = GENERATED_VERSION
    free_rows: int = 1
    faults: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, rule: Rule, mapping: StoredMapping | None) -> RuleForm:
        metadata = rule.metadata
        form = cls(
            destination_of(rule.type),
            event=rule.event,
            resource=rule.resource or "",
            resource_id=rule.resource_id or "",
            connection=rule.connection,
            action_key=str(metadata.get("action")),
            given={key: _text(value) for key, value in metadata.items()},
            accept=str(metadata.get("accept") or "all"),
            active=rule.active,
        )
        form.take_mapping(mapping)
        return form

    @classmethod
    def read(cls, form: Form, destination: Destination) -> RuleForm:
        given = {
            name.removeprefix("i."): form.text(f"o.{name}" if form.text(name) == OTHERS else name)
            for name in form
            if name.startswith("i.")
        }
        version, free = form.text("mapping_version", "0"), form.text("free_rows", "1")
        return cls(
            destination,
            event=form.text("event"),
            resource=form.text("resource"),
            resource_id=form.text("resource_id"),
            connection=form.text("connection"),
            action_key=form.text("action"),
            given=given,
            accept=form.text("accept") or "all",
            active="active" in form,
            payload=form.get("payload", ""),
            rows=read_rows(form, destination.mapping_fields),
            mapping_version=int(version) if version.isdecimal() and len(version) < 10 else 0,
            free_rows=int(free) if free in ("1", "2", "3", "4", "5") else 1,
        )

    @property
    def action(self) -> Action:
        return self.destination.action(self.action_key) or self.destination.actions[0]

    @property
    def options_used(self) -> bool:
        general = self.resource_id or self.accept != "all" or not self.active
        return bool(general) or any(
            self.given.get(one.key, "") not in ("", one.default) for one in self.action.options
        )

    def take_mapping(self, mapping: StoredMapping | None) -> None:
        """Show this mapping in the table."""
        schema = mapping.schema if mapping else self.destination.default_mapping
        self.rows = rows_of(schema, self.destination.mapping_fields)
        self.mapping_version = mapping.version if mapping else GENERATED_VERSION

    def metadata(self, stored: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the rule's metadata; keys that the form doesn't show are kept."""
        fields = (*self.action.inputs, *self.action.options)
        shown = {"accept", *(one.key for one in fields)}
        merged = {key: value for key, value in (stored or {}).items() if key not in shown}
        merged["action"] = self.action.key
        for one in fields:
            if (value := self.given.get(one.key, "")) not in ("", one.default):
                merged[one.key] = value
        if self.accept != "all":
            merged["accept"] = self.accept
        return merged

    def schema(self, stored: StoredMapping | None = None) -> MappingSchema | None:
        """Return the mapping; None if a row is invalid, which then says why."""
        if not self.destination.mapping_fields:
            return stored.schema if stored else self.destination.default_mapping
        meta = stored.schema.meta if stored else None
        return read_schema(self.rows, meta.model_dump(exclude_none=True) if meta else None)

    def shown_rows(self) -> list[Row]:
        return [*self.rows, *(Row() for _ in range(self.free_rows))]


def _text(value: Any) -> str:
    """Write a value as a field of the form holds it."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
