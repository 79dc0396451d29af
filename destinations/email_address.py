"""The e-mail address by which a vendor finds contacts."""

from __future__ import annotations

import re

from pydantic import JsonValue

from delivery.errors import MappingError
from delivery.text import kind
from delivery.transforms import is_blank

MAX_EMAIL = 254  # characters (RFC 5321)

_ADDRESS = re.compile(r"[^\s@\0]+@[^\s@\0]+\.[^\s@\0]+")


def read_email(value: JsonValue, vendor: str) -> str:
    """Return the address in lower case, as HubSpot keeps it and Mailchimp hashes it.

    Raises:
        MappingError: there is none, or it is not an address.
    """
    if value is None or is_blank(value):
        raise MappingError(
            "email", f"has no value, and {vendor} finds contacts by it; map the e-mail address"
        )
    if not isinstance(value, str):
        raise MappingError("email", f"is {kind(value)}; it must be an e-mail address")
    text = value.strip().lower()
    if len(text) > MAX_EMAIL:
        raise MappingError("email", f"has {len(text):,} characters, at most {MAX_EMAIL} are valid")
    if not _ADDRESS.fullmatch(text):
        raise MappingError("email", "is not an e-mail address; map the field that holds it")
    return text
