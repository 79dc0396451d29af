"""Whom a call is about, in the order in which the vendor's destination resolves it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from destinations.customerio.simulator.call import CallBody

CIO_PREFIX = "cio_"


@dataclass(frozen=True)
class Identifier:
    """`value` of an e-mail is in small letters; ids are case-sensitive."""

    kind: Literal["cio_id", "email", "id"]
    value: str


def identifier(call: CallBody) -> Identifier | None:
    """None for a visitor, known by `anonymousId` alone."""
    if call.user_id:
        if call.user_id.startswith(CIO_PREFIX):
            return Identifier("cio_id", call.user_id.removeprefix(CIO_PREFIX))
        if is_email(call.user_id):
            return Identifier("email", call.user_id.lower())
        return Identifier("id", call.user_id)
    if call.email:
        return Identifier("email", call.email.lower())
    return None


def is_email(text: str) -> bool:
    local, _, domain = text.rpartition("@")
    return bool(local) and "." in domain.strip(".") and not any(map(str.isspace, text))
