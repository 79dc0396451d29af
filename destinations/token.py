"""A token or key, as it is entered for a connection."""

from __future__ import annotations


def read_token(text: str, longest: int) -> str:
    """Read a token of at most `longest` characters, without white space around it from copying.

    Raises:
        ValueError: it can't be one. The message doesn't repeat it.
    """
    text = text.strip()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("holds a blank or another character that a token can't; copy it again")
    if len(text) > longest:
        raise ValueError(f"has {len(text):,} characters, must have at most {longest}")
    return text
