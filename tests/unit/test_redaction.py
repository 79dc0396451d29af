"""What must not be kept of an answer is not kept, however it is spelled."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from destinations.http.redaction import REDACTED, redact, strings

KEY = SecretStr("k3y-of-a-workspace")
BODY = {
    "userId": "usr_2048",
    "anonymousId": "anon-17",
    "traits": {
        "email": "test@example.com",
        "plan": "premium",
        "short": "abc",
        "age": 1234567,
        "address": {"street": "Hauptstraße 7", "lines": ['c/o O"Brien & Söhne']},
    },
}


def redacted(text: str, *, cut: bool = False) -> str:
    return redact(text, secrets=(KEY,), sent=strings(BODY), cut=cut)


@pytest.mark.parametrize(
    "key",
    [
        "k3y-of-a-workspace",
        base64.b64encode(b"k3y-of-a-workspace:").decode(),
        base64.b64encode(b"k3y-of-a-workspace").decode(),
        base64.b64encode(b"k3y-of-a-workspace:").decode().rstrip("="),
    ],
)
def test_the_key_goes_in_every_form_in_which_it_is_sent(key):
    assert redacted(f"Authorization: Basic {key}") == f"Authorization: Basic {REDACTED}"


@pytest.mark.parametrize(
    "address",
    ["jo@else.org", "JO+tag@ELSE.ORG", "jo%40else.org", r"jo\u0040else.org", "jo&#64;else.org"],
)
def test_any_address_goes_even_when_it_was_not_sent(address):
    result = redacted(f'{{"error": "taken by {address}"}}')
    assert "jo" not in result.lower()
    assert result.startswith('{"error": "taken by ')


def test_what_only_looks_a_bit_like_an_address_stays():
    assert redacted("@timestamp missing at 12:00 @ host") == "@timestamp missing at 12:00 @ host"


def test_sent_identifiers_and_traits_go_and_the_rest_stays():
    text = "person usr_2048 (anon-17) on premium, abc, 1234567: attribute too long"
    assert redacted(text) == (
        f"person {REDACTED} ({REDACTED}) on {REDACTED}, abc, 1234567: attribute too long"
    )


@pytest.mark.parametrize("value", ["Hauptstraße 7", 'c/o O"Brien & Söhne'])
@pytest.mark.parametrize(
    "spell",
    [
        str,
        json.dumps,
        lambda value: json.dumps(value, ensure_ascii=False),
        lambda value: json.dumps(json.dumps(value)),
        lambda value: json.dumps(json.dumps(value, ensure_ascii=False)),
        lambda value: json.dumps(value).replace("/", "\\/"),
        html.escape,
        lambda value: quote(value, safe=""),
        quote_plus,
        lambda value: value.encode("latin-1").decode(errors="replace"),
    ],
)
def test_nested_traits_go_in_every_spelling(value, spell):
    result = redacted(f"<p>{spell(value)}</p>")
    for word in ("Haupt", "stra", "Brien", "hne"):
        assert word not in result


def test_a_short_id_goes_as_a_word_only():
    result = redact("id 7 of 17: 7", secrets=(KEY,), sent=("7",))
    assert result == f"id {REDACTED} of 17: {REDACTED}"


@pytest.mark.parametrize("length", range(1, 8))
def test_a_value_torn_by_the_end_goes_too(length):
    assert redacted("no such id: usr_2048"[: 12 + length], cut=True) == "no such id: "


def test_a_complete_answer_keeps_its_end():
    assert redacted("invalid plan") == "invalid plan"


def test_values_that_are_parts_of_the_placeholder_do_not_multiply_it():
    traits = {f"t{i}": REDACTED[i:j] for i in range(7) for j in range(i + 4, len(REDACTED) + 1)}
    text = f"{REDACTED} test@example.com"
    assert redact(text, secrets=(KEY,), sent=strings(traits)) == f"{REDACTED} {REDACTED}"


def test_control_characters_do_not_reach_a_terminal():
    assert redacted("\x1b[31mred\x1b[0m\r\n\t\x9bplain\0") == (
        "\ufffd[31mred\ufffd[0m\r\n\t\ufffdplain\ufffd"
    )


@given(
    st.text(), st.text(min_size=4).filter(lambda v: v.strip() == v and v not in REDACTED), st.text()
)
def test_a_sent_value_is_never_left_whole(before, value, after):
    result = redact(f"x{before}{value}{after}", secrets=(KEY,), sent=(value,))
    assert value not in result.replace(REDACTED, "\0")


@given(st.text(), st.recursive(st.none() | st.text() | st.integers(), st.lists))
def test_any_answer_to_any_body_is_read(text, traits):
    redact(text, secrets=(KEY,), sent=strings(traits), cut=True)
