"""A cursor is what its list gave out, to the letter, or it is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.opaque_cursor import InvalidCursor, read_cursor, write_cursor


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_cursor_fits_into_an_address_and_is_read_back(text: str) -> None:
    token = write_cursor(text)
    assert token == "" or token.replace("-", "").replace("_", "").isalnum()
    assert read_cursor(token) == text


@pytest.mark.parametrize("token", ["x", "ü", "e30=", "e30 ", "e30/", "e31", "_w", "\0"])
def test_what_no_list_gave_out_is_refused(token: str) -> None:
    with pytest.raises(InvalidCursor, match=r"^cursor: "):
        read_cursor(token)
