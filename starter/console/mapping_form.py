"""Show the field mapping as a table of a form, and read it back.

A row's fields are `m.<row>.dest`, `.kind` (path or fixed), `.value`, `.on_error`, `.notes` and
`m.<row>.t.<place>.type` and `.arg`. A fixed value is text, or JSON where it reads as a number,
`true`, `false`, `null` or text in quotes; so is a transform's default.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from pydantic import ValidationError

from delivery.mapping_schema import (
    LiteralSource,
    MappedField,
    MappingSchema,
)
from destinations.destination import MappingField
from starter.console.forms import Form

MOST_ROWS = 250
MOST_TRANSFORMS = 10

ON_ERROR = {
    "fail_action": "Fail the delivery",
    "warn_action": "Leave out and warn",
    "skip_field": "Leave out",
}
# How a value is written, each with what its argument is, where it takes one.
TRANSFORMS = {
    "trim": ("without spaces around it", None),
    "lower": ("in lower case", None),
    "upper": ("in upper case", None),
    "to_string": ("as text", None),
    "to_number": ("as a number", None),
    "to_boolean": ("as true or false", None),
    "to_date": ("as a date", "time zone, such as Europe/Berlin"),
    "to_datetime": ("as date and time", "time zone, such as Europe/Berlin"),
    "default": ("if it is empty, as", "this value"),
    "substring": ("only a part of it", "start, length: 0, 10"),
}

# What is wrong with a row, by the part of it that can't be read.
FAULTS = {
    "transforms": "this can't be read: “only a part of it” needs a start and a length, such as "
    "0, 10",
    "path": "a path is names with dots in between, such as user.email or items.0.sku",
    "literal": "a fixed value is text of at most 256 characters, a number, true, false or null",
    "dest": "a field's name has at most 128 characters",
}


@dataclass
class Step:
    """A transform as it is typed."""

    type: str = ""
    arg: str = ""


@dataclass
class Row:
    """One field of the mapping as it is typed; one without a value maps nothing.

    `field` is the destination's, None for one of the user's own.
    """

    dest: str = ""
    kind: str = "path"
    value: str = ""
    on_error: str = "fail_action"
    notes: str = ""
    steps: list[Step] = dataclasses.field(default_factory=list)
    fault: str | None = None
    field: MappingField | None = None

    @property
    def used(self) -> list[Step]:
        return [step for step in self.steps if step.type]

    @property
    def in_words(self) -> str:
        """Say how the value is written, such as `in lower case, then as text`."""
        said = (
            f"{TRANSFORMS[step.type][0]} {step.arg}".strip()
            for step in self.used
            if step.type in TRANSFORMS
        )
        return ", then ".join(said) or "as it is"

    @property
    def places(self) -> list[Step]:
        """Return the steps that the form shows: those in use, and a free one."""
        return [*self.used, Step()][:MOST_TRANSFORMS]


def rows_of(schema: MappingSchema, fields: Sequence[MappingField]) -> list[Row]:
    return _arranged([_row(mapped) for mapped in schema.fields], fields)


def _arranged(rows: list[Row], fields: Sequence[MappingField]) -> list[Row]:
    """Put the destination's fields first, in their order, with empty rows for missing ones."""
    there = {row.dest for row in rows}
    rows = [*rows, *(Row(dest=one.key) for one in fields if one.key not in there)]
    places = {one.key: place for place, one in enumerate(fields)}
    for row in rows:
        row.field = fields[places[row.dest]] if row.dest in places else None
    return sorted(rows, key=lambda row: places.get(row.dest, len(places)))


def read_rows(form: Form, fields: Sequence[MappingField]) -> list[Row]:
    """Read the table as it was sent, without the user's empty rows."""
    rows = []
    for place in range(MOST_ROWS + 2 * len(fields)):
        name = f"m.{place}"
        if f"{name}.dest" not in form:
            continue
        row = Row(
            dest=form.text(f"{name}.dest"),
            kind=form.text(f"{name}.kind") or "path",
            value=form.text(f"{name}.value"),
            on_error=form.text(f"{name}.on_error") or "fail_action",
            notes=form.text(f"{name}.notes"),
            steps=[
                Step(form.text(f"{name}.t.{step}.type"), form.text(f"{name}.t.{step}.arg"))
                for step in range(MOST_TRANSFORMS)
                if f"{name}.t.{step}.type" in form
            ],
        )
        if row.dest or row.value:
            rows.append(row)
    return _arranged(rows, fields)


def read_schema(rows: list[Row], meta: Mapping[str, Any] | None = None) -> MappingSchema | None:
    """Return the rows as a schema; None if a row is invalid, whose `fault` then says why.

    `meta` is kept from the schema that is replaced.
    """
    meant = [row for row in rows if row.value]
    document: dict[str, Any] = {"schema_version": 1, "fields": [_field(row) for row in meant]}
    if meta is not None:
        document["meta"] = dict(meta)
    for row in rows:
        row.fault = "enter the field that it fills" if row.value and not row.dest else None
        if row.dest and not row.value and row.field is None:
            row.fault = "enter where its value comes from"
    try:
        schema = MappingSchema.model_validate(document)
    except ValidationError as err:
        for found in err.errors(include_input=False, include_url=False):
            location = found["loc"]
            if len(location) > 1 and location[0] == "fields" and isinstance(location[1], int):
                row = meant[location[1]]
                row.fault = row.fault or _fault(location, found["type"])
        return None
    return None if any(row.fault for row in rows) else schema


def same(one: MappingSchema, other: MappingSchema) -> bool:
    """Say whether two mappings do the same: order matters only among fields of one name."""
    by_name = attrgetter("dest")
    return sorted(one.fields, key=by_name) == sorted(other.fields, key=by_name)


def _row(mapped: MappedField) -> Row:
    fixed = isinstance(mapped.source, LiteralSource)
    return Row(
        dest=mapped.dest,
        kind="fixed" if fixed else "path",
        value=_typed(mapped.source.value) if fixed else str(mapped.source.value),
        on_error=mapped.on_error,
        notes=mapped.notes or "",
        steps=[_step(transform.model_dump()) for transform in mapped.transforms],
    )


def _step(transform: dict[str, Any]) -> Step:
    type = transform["type"]
    if type == "default":
        return Step(type, _typed(transform["value"]))
    if type == "substring":
        length = transform["length"]
        return Step(type, f"{transform['start']}" + (f", {length}" if length else ""))
    return Step(type, transform.get("timezone") or "")


def _field(row: Row) -> dict[str, Any]:
    source = (
        {"type": "literal", "value": _meant(row.value)}
        if row.kind == "fixed"
        else {"type": "path", "value": row.value}
    )
    written: dict[str, Any] = {"dest": row.dest or "?", "source": source}
    if row.used:
        written["transforms"] = [_transform(step) for step in row.used]
    if row.on_error != "fail_action":
        written["on_error"] = row.on_error
    if row.notes:
        written["notes"] = row.notes
    return written


def _transform(step: Step) -> dict[str, Any]:
    written: dict[str, Any] = {"type": step.type}
    if step.type == "default":
        written["value"] = _meant(step.arg)
    elif step.type == "substring":
        start, _, length = step.arg.partition(",")
        written["start"] = _whole(start)
        if length.strip():
            written["length"] = _whole(length)
    elif step.type in ("to_date", "to_datetime") and step.arg:
        written["timezone"] = step.arg
    return written


def _whole(text: str) -> int | str:
    text = text.strip()
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 10 else text


def _typed(value: Any) -> str:
    """Return a fixed value as a user types it, so that it reads back as the same."""
    if isinstance(value, str) and _meant(value) == value and value == value.strip():
        return value
    return json.dumps(value, ensure_ascii=False)


def _meant(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return text if isinstance(value, dict | list) else value


def _fault(location: tuple[int | str, ...], kind: str) -> str:
    other = "choose one from the list" if kind == "literal_error" else "this row can't be read"
    return next((fault for part, fault in FAULTS.items() if part in location), other)
