"""A stored mapping says where each field comes from; a misspelt one is refused, not misread."""

from __future__ import annotations

import pytest
from delivery_samples import mapping, path
from pydantic import ValidationError

from delivery.errors import MappingError
from delivery.mapping import map_fields
from delivery.mapping_schema import MappingSchema
from destinations.customerio.build import DEFAULT_MAPPING

PAYLOAD = {
    "user": {"email": "a@b.co", "ids": ["first", "second"], "nothing": None},
    "plan": "pro",
    "items": [{"sku": "s-1"}, {"sku": "s-2"}],
    "when": "not a time",
}


def literal(dest: str, value: object) -> dict:
    return {"dest": dest, "source": {"type": "literal", "value": value}}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("plan", "pro"),
        ("user.email", "a@b.co"),
        ("user.ids.1", "second"),
        ("items.0.sku", "s-1"),
        ("items.00.sku", "s-1"),
        ("user", PAYLOAD["user"]),
        ("missing", None),
        ("user.missing.deeper", None),
        ("user.nothing", None),
        ("user.ids.2", None),
        ("user.ids.first", None),
        ("plan.0", None),
        ("Plan", None),
    ],
)
def test_a_path_leads_through_objects_and_lists_or_nowhere(source, value):
    values = map_fields(mapping(path("field", source)), PAYLOAD).values
    assert values == ({} if value is None else {"field": value})


@pytest.mark.parametrize("value", ["text", 7, 0.5, True, 0])
def test_a_literal_keeps_its_type(value):
    mapped = map_fields(mapping(literal("field", value)), {}).values["field"]
    assert mapped == value
    assert type(mapped) is type(value)


def test_a_literal_null_gives_no_value():
    assert map_fields(mapping(literal("field", None)), {}).values == {}


def test_transforms_apply_in_order():
    schema = mapping(
        path(
            "field",
            "plan",
            {"type": "upper"},
            {"type": "substring", "start": 1},
            {"type": "lower"},
        )
    )
    assert map_fields(schema, PAYLOAD).values == {"field": "ro"}


def test_a_default_stands_for_a_path_that_leads_nowhere():
    schema = mapping(path("field", "missing.at", {"type": "default", "value": "none"}))
    assert map_fields(schema, PAYLOAD).values == {"field": "none"}


def test_of_several_sources_the_first_with_a_value_holds():
    schema = mapping(path("field", "missing"), path("field", "plan"), literal("field", "last"))
    assert map_fields(schema, PAYLOAD).values == {"field": "pro"}


def test_what_can_not_be_mapped_fails_the_delivery_by_default():
    schema = mapping(path("joined", "when", {"type": "to_datetime"}))
    with pytest.raises(MappingError, match="to_datetime can't read this, a string") as caught:
        map_fields(schema, PAYLOAD)
    assert caught.value.field == "joined"
    assert "not a time" not in str(caught.value)


@pytest.mark.parametrize(("on_error", "warnings"), [("skip_field", 0), ("warn_action", 1)])
def test_or_is_left_out_in_silence_or_with_a_warning(on_error, warnings):
    schema = mapping(
        path("joined", "when", {"type": "to_datetime"}, on_error=on_error), path("plan", "plan")
    )
    mapped = map_fields(schema, PAYLOAD)
    assert mapped.values == {"plan": "pro"}
    assert len(mapped.warnings) == warnings
    assert all("not a time" not in warning for warning in mapped.warnings)


def test_after_a_source_that_was_skipped_the_next_one_holds():
    schema = mapping(
        path("joined", "when", {"type": "to_date"}, on_error="skip_field"), literal("joined", "x")
    )
    assert map_fields(schema, PAYLOAD).values == {"joined": "x"}


def test_only_keys_that_were_mapped_whole_are_consumed():
    schema = mapping(path("a", "plan"), path("b", "user.email"), literal("c", "items"))
    assert map_fields(schema, PAYLOAD).consumed == {"plan"}


def test_the_default_mapping_takes_the_fields_of_the_same_name():
    payload = {"email": 1, "userId": 2, "anonymousId": 3, "event_name_override": 4, "plan": 5}
    mapped = map_fields(DEFAULT_MAPPING, payload)
    assert mapped.values == {key: payload[key] for key in payload if key != "plan"}
    assert mapped.consumed == set(mapped.values)


FIELD = path("field", "plan")


@pytest.mark.parametrize(
    "schema",
    [
        {"fields": [], "schema_version": 2},
        {},
        {"fields": [], "extra": 1},
        {"fields": [FIELD] * 251},
        {"fields": [{**FIELD, "dest": ""}]},
        {"fields": [{**FIELD, "dest": "x" * 129}]},
        {"fields": [{**FIELD, "dest": 7}]},
        {"fields": [{**FIELD, "destination": "x"}]},
        {"fields": [{**FIELD, "on_error": "ignore"}]},
        {"fields": [{**FIELD, "notes": ""}]},
        {"fields": [{**FIELD, "transforms": [{"type": "trim"}] * 11}]},
        {"fields": [path("field", "")]},
        {"fields": [path("field", "a..b")]},
        {"fields": [path("field", "0.a")]},
        {"fields": [path("field", "a[0]")]},
        {"fields": [path("field", "a.b\n")]},
        {"fields": [path("field", "a" * 129)]},
        {"fields": [{"dest": "field", "source": {"type": "literal"}}]},
        {"fields": [literal("field", "")]},
        {"fields": [literal("field", "x" * 257)]},
        {"fields": [literal("field", ["x"])]},
        {"fields": [literal("field", float("nan"))]},
        {"fields": [{"dest": "field", "source": {"type": "template", "value": "x"}}]},
        {"fields": [path("field", "plan", {"type": "reverse"})]},
        {"fields": [path("field", "plan", {"type": "default"})]},
        {"fields": [path("field", "plan", {"type": "default", "value": ""})]},
        {"fields": [path("field", "plan", {"type": "default", "value": "x" * 129})]},
        {"fields": [path("field", "plan", {"type": "substring", "start": -1})]},
        {"fields": [path("field", "plan", {"type": "substring", "start": 0, "length": 0})]},
        {"fields": [path("field", "plan", {"type": "substring", "start": "0"})]},
        {"fields": [path("field", "plan", {"type": "trim", "chars": "x"})]},
        {"fields": [], "meta": {"name": "x" * 65}},
        {"fields": [], "meta": {"title": "x"}},
    ],
)
def test_a_malformed_mapping_is_refused(schema):
    with pytest.raises(ValidationError):
        MappingSchema.model_validate(schema)


def test_the_largest_mapping_and_all_its_parts_are_taken():
    field = path("d" * 128, "a" * 128, *[{"type": "trim"}] * 10, on_error="warn_action", notes="n")
    schema = MappingSchema.model_validate(
        {"schema_version": 1, "fields": [field] * 250, "meta": {"name": "n", "notes": "n" * 1_024}}
    )
    assert MappingSchema.model_validate_json(schema.model_dump_json()) == schema


def test_transforms_that_handle_more_text_than_any_call_takes_are_refused():
    lowered = {**path("field", "bio"), "transforms": [{"type": "lower"}] * 10}
    assert map_fields(mapping(lowered), {"bio": "X" * 100_000}).values == {"field": "x" * 100_000}
    with pytest.raises(MappingError, match="more than 4,000,000 characters to handle"):
        map_fields(mapping(lowered), {"bio": "X" * 300_000})
    cut = {**lowered, "transforms": [{"type": "substring", "start": 0, "length": 10}] * 10}
    assert map_fields(mapping(cut), {"bio": "X" * 300_000}).values == {"field": "X" * 10}
