"""Values are counted as a parser would make them, without parsing; client and server agree."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import emitonce.size
from delivery import size
from delivery.errors import EventTooLarge

texts = st.text(max_size=6) | st.sampled_from([",", '"', "\\", '\\",[', "[]", "{}", ",,,"])
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=25,
)


def values_in(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(values_in, value.values()))
    if isinstance(value, list):
        return 1 + sum(map(values_in, value))
    return 1


@given(documents, st.booleans(), st.sampled_from([None, 1]))
def test_values_are_counted_as_a_parser_makes_them(
    document: Any, ascii: bool, indent: int | None
) -> None:
    document = [document]
    data = json.dumps(document, ensure_ascii=ascii, indent=indent).encode(errors="surrogatepass")
    values = values_in(document)
    for module in (size, emitonce.size):
        assert not module.holds_more_values(data, values)
        assert module.holds_more_values(data, values - 1)


@pytest.mark.parametrize("data", [b"", b'"', b'"\\', b"[", b'{"a', b'"' + b'",' * 50, b"]]]]"])
def test_what_is_not_json_ends_the_count_too(data: bytes) -> None:
    assert not size.holds_more_values(data * 2, 1_000)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"payload": {"a": "x" * size.LARGEST_PAYLOAD}}, "payload: is 262,152 bytes"),
        ({"payload": {"a": [1] * size.MOST_VALUES}}, "payload: holds more than 10,000"),
        ({"payload": {}, "else": "x" * size.LARGEST_BESIDE}, "input: holds 16,395 bytes beside"),
        ({"payload": {"a": [1] * (size.MOST_VALUES - 2)}}, None),
        ({"payload": {"a": "," * 20_000}}, None),
        ({"payload": {"a": "x" * (size.LARGEST_PAYLOAD - 8)}}, None),
        ({"payload": {}, "redelivery": {"a": "x" * size.LARGEST_PAYLOAD}}, None),
    ],
)
def test_payload_and_what_stands_beside_it_are_limited(
    fields: dict[str, Any], told: str | None
) -> None:
    if told is None:
        size.check_size(fields)
        return
    with pytest.raises(EventTooLarge) as refused:
        size.check_size(fields)
    assert str(refused.value).startswith(told)


def test_client_and_server_have_the_same_limits() -> None:
    assert emitonce.size.LARGEST_PAYLOAD == size.LARGEST_PAYLOAD
    assert emitonce.size.MOST_VALUES == size.MOST_VALUES
