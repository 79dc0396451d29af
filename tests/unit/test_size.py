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
    ("payload", "told"),
    [
        ({"a": "x" * size.LARGEST_PAYLOAD}, "payload: is 262,152 bytes"),
        ({"a": [1] * size.MOST_VALUES}, "payload: holds more than 10,000"),
        ({"a": [1] * (size.MOST_VALUES - 2)}, None),
        ({"a": "," * 20_000}, None),
        ({"a": "x" * (size.LARGEST_PAYLOAD - 8)}, None),
    ],
)
def test_payload_is_limited(payload: dict[str, Any], told: str | None) -> None:
    if told is None:
        size.check_payload_size(payload)
        return
    with pytest.raises(EventTooLarge) as refused:
        size.check_payload_size(payload)
    assert str(refused.value).startswith(told)


def test_input_far_beyond_the_limits_is_refused_before_it_is_parsed() -> None:
    size.check_input(b"[" + b"1," * (size.MOST_VALUES + size.MOST_BESIDE - 2) + b"1]")
    for data in (b" " * (size.LARGEST_PAYLOAD + size.LARGEST_BESIDE + 1), b"[" * 10_200):
        with pytest.raises(EventTooLarge, match=r"^input: "):
            size.check_input(data)


def test_client_and_server_have_the_same_limits() -> None:
    assert emitonce.size.LARGEST_PAYLOAD == size.LARGEST_PAYLOAD
    assert emitonce.size.MOST_VALUES == size.MOST_VALUES
