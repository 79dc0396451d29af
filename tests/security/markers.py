"""Values that stand for a person's data and for secrets, and the search for them in any bytes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from urllib.parse import quote

API_KEY = "mkKey7f3a9c2e41d8b6"
EMAIL = "mk.mail.7f3a@person.example"
USER_ID = "mkUser7f3a9c2e"
TRAIT = "mkTrait-Elisabeth-Grünwald"
NESTED = "mkNested7f3a9c2e"
# Names of keys are in logs and pages, but not in Temporal, where they are encrypted.
KEY = "mkKeyOfPayload7f3a9c2e"
RESOURCE_ID = "mkResource7f3a9c2e"
IDEMPOTENCY_KEY = "mkIdem-7f3a@person.example"
ANSWER_HEADER = "mkHeader7f3a9c2e"
ERROR_BODY = "mkErrorBody7f3a9c2e"

ALL: Mapping[str, str] = {
    "API key": API_KEY,
    "e-mail": EMAIL,
    "user id": USER_ID,
    "trait": TRAIT,
    "nested trait": NESTED,
    "resource id": RESOURCE_ID,
    "idempotency key": IDEMPOTENCY_KEY,
    "answer's header": ANSWER_HEADER,
    "error body": ERROR_BODY,
}

PAYLOAD = {
    "userId": USER_ID,
    "email": EMAIL,
    "name": TRAIT,
    "address": {"lines": [NESTED]},
    KEY: 1,
}


def found_in(data: bytes) -> set[str]:
    """The names of the markers that `data` holds, in any spelling that is easily read."""
    lowered = data.lower()
    return {
        name
        for name, marker in ALL.items()
        if any(spelling.lower() in lowered for spelling in _spellings(marker))
    }


def _spellings(marker: str) -> Iterator[bytes]:
    plain = marker.encode()
    yield plain
    yield marker.encode("utf-16-le")
    yield plain.hex().encode()  # bytea in a dump
    yield json.dumps(marker)[1:-1].encode()
    yield quote(marker, safe="").encode()
    for shift in range(3):  # base64 of a text that holds it, wherever it begins
        encoded = base64.b64encode(b"\0" * shift + plain)
        yield encoded[4 if shift else 0 : -4]
