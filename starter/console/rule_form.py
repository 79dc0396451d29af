"""A rule with its connection's mapping as one form, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from catalog.mappings import GENERATED_VERSION
from catalog.mappings import Mapping as StoredMapping
from catalog.rules import Rule
from delivery.mapping_schema import MappingSchema
from destinations.customerio.destination import CUSTOMER_IO
from starter.console.forms import Form
from starter.console.mapping_form import SHOWN_FIRST, Row, read_rows, read_schema, rows_of

ACTION = "track_event"
# Metadata that the form shows; other keys are kept as they are.
_FLAGS = ("allow_commands", "send_nulls")


@dataclass
class RuleForm:
    """As it is typed. `faults` are told beside their fields, by name."""

    event: str = ""
    resource: str = ""
    resource_id: str = ""
    connection: str = ""
    event_name_override: str = ""
    on_limit: str = "fail"
    accept: str = "all"
    flags: frozenset[str] = frozenset()
    active: bool = True
    payload: str = ""
    payload_note: str = ""
    rows: list[Row] = field(default_factory=lambda: rows_of(CUSTOMER_IO.default_mapping))
    mapping_version: int = GENERATED_VERSION
    free_rows: int = 1
    faults: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, rule: Rule, mapping: StoredMapping | None, payload: str) -> RuleForm:
        metadata = rule.metadata
        return cls(
            event=rule.event,
            resource=rule.resource or "",
            resource_id=rule.resource_id or "",
            connection=rule.connection,
            event_name_override=str(metadata.get("event_name_override") or ""),
            on_limit=str(metadata.get("on_limit") or "fail"),
            accept=str(metadata.get("accept") or "all"),
            flags=frozenset(name for name in _FLAGS if metadata.get(name) is True),
            active=rule.active,
            payload=payload,
            rows=rows_of(mapping.schema if mapping else CUSTOMER_IO.default_mapping),
            mapping_version=mapping.version if mapping else GENERATED_VERSION,
        )

    @classmethod
    def read(cls, form: Form) -> RuleForm:
        version, free = form.text("mapping_version", "0"), form.text("free_rows", "1")
        return cls(
            event=form.text("event"),
            resource=form.text("resource"),
            resource_id=form.text("resource_id"),
            connection=form.text("connection"),
            event_name_override=form.text("event_name_override"),
            on_limit=form.text("on_limit") or "fail",
            accept=form.text("accept") or "all",
            flags=frozenset(name for name in _FLAGS if form.has(name)),
            active=form.has("active"),
            payload=form.raw("payload"),
            rows=read_rows(form),
            mapping_version=int(version) if version.isdecimal() and len(version) < 10 else 0,
            free_rows=int(free) if free in ("1", "2", "3", "4", "5") else 1,
        )

    def take_mapping(self, mapping: StoredMapping | None) -> None:
        """Show this one in the table."""
        self.rows = rows_of(mapping.schema if mapping else CUSTOMER_IO.default_mapping)
        self.mapping_version = mapping.version if mapping else GENERATED_VERSION

    def metadata(self, stored: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What the rule is stored with; keys that the form doesn't show are kept."""
        merged = {**(stored or {}), "action": ACTION}
        for name in ("event_name_override", "on_limit", "accept", *_FLAGS):
            merged.pop(name, None)
        if self.event_name_override:
            merged["event_name_override"] = self.event_name_override
        if self.on_limit != "fail":
            merged["on_limit"] = self.on_limit
        if self.accept != "all":
            merged["accept"] = self.accept
        return merged | dict.fromkeys(sorted(self.flags), True)

    def schema(self, stored: StoredMapping | None = None) -> MappingSchema | None:
        """None when a row is at fault, which says so itself."""
        meta = stored.schema.meta if stored else None
        return read_schema(self.rows, meta.model_dump(exclude_none=True) if meta else None)

    def shown_rows(self) -> list[Row]:
        """All the vendor's fields, one's own, and free rows."""
        meant = [row for row in self.rows if row.dest or row.value]
        there = {row.dest for row in meant}
        missing = [Row(dest=name) for name in SHOWN_FIRST if name not in there]
        return [*meant, *missing, *(Row() for _ in range(self.free_rows))]
