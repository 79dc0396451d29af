"""What JSON readers are known to disagree about is refused; the rest stays as written."""

from __future__ import annotations

import json

import pytest

from delivery.errors import InvalidEvent
from delivery.strict_json import MAX_DEPTH, check, nesting, parse


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"{'a': 1}", "is not JSON"),
        (b'{"a": 1,}', "is not JSON"),
        (b'{"a": 01}', "is not JSON"),
        (b"{} {}", "is not JSON"),
        (b'{"a": "line\nbreak"}', "is not JSON"),
        (b'"\\x"', "is not JSON"),
        (b'{"a": 1, "a": 1}', "key twice"),
        (b'{"a": 1, "\\u0061": 2}', "key twice"),
        (b'[{"deep": {"b": null, "b": null}}]', "key twice"),
        (b"NaN", "NaN"),
        (b'{"a": Infinity}', "Infinity"),
        (b'{"a": -Infinity}', "-Infinity"),
        (b"1e309", "beyond"),
        (b"-1e999999", "beyond"),
        (b"9" * 310, "beyond"),
        (b"9" * 100_000, "beyond"),
        (b"0." + b"1" * 1_000, "characters, limit 1,000"),
        (b'"\\ud83d"', "surrogate"),
        (b'"\\udE00\\uD83d"', "surrogate"),
        (b'{"\\uDfff": 1}', "surrogate"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'"caf\xe9"', "not UTF-8 at byte 4"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        ("{}".encode("utf-16"), "not UTF-8"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "deeper than 64"),
        (b"[" * 100_000, "deeper than 64"),
        (b'{"a":' * 100_000, "deeper than 64"),
    ],
)
def test_what_readers_disagree_about_is_refused(text, reason):
    with pytest.raises(InvalidEvent, match=reason) as caught:
        parse(text)
    assert caught.value.field == "input"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        (b"-7", -7),
        (b"1.0", 1.0),
        (b"0.1", 0.1),
        (b"1e2", 100.0),
        (b"1.7976931348623157e308", 1.7976931348623157e308),
        (b'"\\ud83d\\ude00"', "😀"),
        ('"é"'.encode(), "é"),
        (b'"\\u0000"', "\0"),
        (b' {"a" : [ true , null ] } ', {"a": [True, None]}),
        (b'{"a": {"a": 1}, "A": 2}', {"a": {"a": 1}, "A": 2}),
    ],
)
def test_all_other_json_is_read_as_it_was_written(text, value):
    read = parse(text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("value", ["[" * 500, {"text": '["\\' * 500}])
def test_brackets_within_strings_are_no_depth(value):
    assert parse(json.dumps(value).encode()) == value


def test_the_deepest_that_is_taken_is_64_levels():
    text = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    assert nesting(parse(text)) == MAX_DEPTH


def test_many_brackets_side_by_side_are_no_depth():
    assert parse(b"[" + b",".join([b"[]"] * 1_000) + b"]") == [[]] * 1_000


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        10**309,
        "\ud800",
        {"\udfff": 1},
        {1: "a"},
        (1, 2),
        b"bytes",
        {"a": [object()]},
    ],
)
def test_values_parsed_elsewhere_are_held_to_the_same_rules(value):
    with pytest.raises(InvalidEvent):
        check({"a": [value]})


def test_values_parsed_elsewhere_are_held_to_the_same_depth():
    value: list = []
    for _ in range(MAX_DEPTH - 1):
        value = [value]
    check(value)
    with pytest.raises(InvalidEvent, match="deeper than 64"):
        check([value])


@pytest.mark.parametrize(
    ("value", "levels"), [(1, 0), ("[[", 0), ({}, 1), ([1, {"a": []}], 3), ({"a": 1, "b": [1]}, 2)]
)
def test_nesting_counts_objects_and_lists(value, levels):
    assert nesting(value) == levels


@pytest.mark.parametrize("text", [b'{"a": hunter2}', b'"hunter2', b'{"hunter2": 1, "hunter2": 2}'])
def test_a_refusal_quotes_nothing(text):
    with pytest.raises(InvalidEvent) as caught:
        parse(text)
    assert "hunter2" not in str(caught.value)
