"""Names are shown shortened, on one line and without addresses; of values only the kind."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delivery.text import CONTROL_CHARACTERS, holds_email, kind, shown, utf8_size


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("first_name", "first_name"),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 59 + "…"),
        ("a\nb\x1b[31m\u2028", "a�b�[31m�"),
        ("jo@example.com", "[a name that holds an e-mail address]"),
        ("x" * 100 + "jo@example.com", "[a name that holds an e-mail address]"),
        ("@mention", "@mention"),
        ("", ""),
    ],
)
def test_a_name_is_shown_so(name, text):
    assert shown(name) == text


@settings(deadline=None, max_examples=100)
@given(st.text())
def test_any_name_is_shown_on_one_short_line(name):
    text = shown(name)
    assert len(text) <= 60
    assert not CONTROL_CHARACTERS.search(text)
    assert not holds_email(text)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("jo@example.com", True),
        ("signup:jo+tag@mail.example.com!", True),
        ("a@b.c", True),
        ("@example.com", False),
        ("jo@localhost", False),
        ("jo @ example.com", False),
        ("5 @ 3.50", False),
    ],
)
def test_an_address_is_known_by_its_form(text, holds):
    assert holds_email(text) is holds


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "null"),
        (False, "a boolean"),
        (0, "a number"),
        (0.5, "a number"),
        ("", "a string"),
        ([], "a list"),
        ({}, "an object"),
        (b"", "a value that JSON doesn't have"),
    ],
)
def test_a_kind_is_called_as_json_calls_it(value, name):
    assert kind(value) == name


def test_sizes_are_utf_8_bytes():
    assert [utf8_size(text) for text in ("", "a", "é", "€", "😀")] == [0, 1, 2, 3, 4]
