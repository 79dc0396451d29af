"""The mapping's table gives back the schema that it was made of, whatever it holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.mapping_schema import (
    Convert,
    Default,
    LiteralSource,
    MappedField,
    MappingSchema,
    PathSource,
    Substring,
    ToTime,
)
from destinations.customerio.build import DEFAULT_MAPPING
from destinations.customerio.destination import CUSTOMER_IO
from starter.console.forms import Form
from starter.console.mapping_form import Row, read_rows, read_schema, rows_of, same

FIELDS = CUSTOMER_IO.mapping_fields
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
VALUE = st.one_of(
    TEXT, st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.none()
)
NAME = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,10}", fullmatch=True)
FIELD = st.builds(
    MappedField,
    dest=st.one_of(NAME, st.sampled_from(["email", "userId"])),
    source=st.one_of(
        NAME.map(lambda name: PathSource(type="path", value=name)),
        VALUE.map(lambda value: LiteralSource(type="literal", value=value)),
    ),
    transforms=st.lists(
        st.one_of(
            st.just(Convert(type="lower")),
            VALUE.map(lambda value: Default(type="default", value=value)),
            st.just(ToTime(type="to_date", timezone="Europe/Berlin")),
            st.just(ToTime(type="to_date")),
            st.just(Substring(type="substring", start=2)),
            st.just(Substring(type="substring", start=0, length=5)),
        ),
        max_size=10,
    ).map(tuple),
    on_error=st.sampled_from(["skip_field", "warn_action", "fail_action"]),
)


def sent(rows: list[Row]) -> Form:
    """The table as a browser sends it: line ends apart, as it is shown."""
    fields = []
    for place, row in enumerate(rows):
        name = f"m.{place}"
        fields += [
            (f"{name}.dest", row.dest),
            (f"{name}.kind", row.kind),
            (f"{name}.value", row.value),
            (f"{name}.on_error", row.on_error),
        ]
        for index, step in enumerate(row.places):
            fields += [(f"{name}.t.{index}.type", step.type), (f"{name}.t.{index}.arg", step.arg)]
    return Form(fields)


@given(st.lists(FIELD, max_size=8).map(tuple))
def test_what_is_shown_and_sent_back_is_the_same_mapping(fields: tuple[MappedField, ...]):
    schema = MappingSchema(fields=fields)
    again = read_schema(read_rows(sent(rows_of(schema, FIELDS)), FIELDS))
    assert again is not None
    assert same(again, schema)


def test_the_generated_mapping_is_told_from_a_stored_one():
    rows = rows_of(DEFAULT_MAPPING, FIELDS)
    shown = read_schema(read_rows(sent(rows), FIELDS))
    assert shown is not None
    assert same(shown, DEFAULT_MAPPING)
    rows[0].value = "user.id"
    changed = read_schema(rows)
    assert changed is not None
    assert not same(changed, DEFAULT_MAPPING)


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (Row(dest="userId", value="not a path"), "names with dots in between"),
        (Row(dest="", value="plan"), "enter the field"),
        (Row(dest="plan", value=""), "enter where its value comes from"),
        (Row(dest="plan", kind="fixed", value="x" * 257), "at most 256 characters"),
        (Row(dest="x" * 129, value="plan"), "at most 128 characters"),
        (Row(dest="plan", value="plan", on_error="explode"), "choose one from the list"),
    ],
)
def test_a_row_that_can_t_be_says_why(row: Row, fault: str):
    assert read_schema([row]) is None
    assert row.fault is not None
    assert fault in row.fault


def test_a_transform_that_can_t_be_says_why():
    *_, row = read_rows(
        Form(
            [
                ("m.0.dest", "plan"),
                ("m.0.value", "plan"),
                ("m.0.t.0.type", "substring"),
                ("m.0.t.0.arg", "-1"),
            ]
        ),
        FIELDS,
    )
    assert read_schema([row]) is None
    assert "start and a length" in str(row.fault)
