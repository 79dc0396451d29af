"""The key in a request's `Authorization` header."""

from __future__ import annotations

import base64
import binascii


def basic_key(header: str | None) -> str | None:
    """The user name of Basic authentication with an empty password; None for anything else."""
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    user, colon, password = text.partition(":")
    return user if user and colon and not password else None
