"""A key that can't be right is refused without asking the vendor, and never quoted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destinations.customerio.destination import LONGEST_API_KEY, read_api_key


@pytest.mark.parametrize("text", ["k3y", " k3y\n", "\tk3y ", "a" * LONGEST_API_KEY, "a-b_c.d/e+f="])
def test_a_plausible_key_is_taken_without_surrounding_blanks(text):
    assert read_api_key(text) == text.strip()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "blank"),
        (" \n", "blank"),
        ("a b", "a blank or a line break"),
        ("a\nb", "a blank or a line break"),
        ("a\x00b", "control character"),
        ("a\x7fb", "control character"),
        ("site:key", "colon"),
        ("schlüssel", "ASCII"),
        ("a" * (LONGEST_API_KEY + 1), "201 characters"),
    ],
)
def test_a_mistake_is_named(text, reason):
    with pytest.raises(ValueError, match=reason):
        read_api_key(text)


@given(st.text(min_size=6).map(lambda text: f"{text}:x"))
def test_a_refusal_never_quotes_the_key(text):
    with pytest.raises(ValueError) as refusal:
        read_api_key(text)
    assert text not in str(refusal.value)
