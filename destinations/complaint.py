"""What an answer that refuses a message complains about."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from delivery.reason import LONGEST_CODE

# Addresses, phone numbers and host names don't match.
_NAME = re.compile(rf"[A-Za-z]\w{{0,{LONGEST_CODE - 1}}}", re.ASCII)


@dataclass(frozen=True)
class Complaint:
    """A vendor's code, the field that it names, and its own words, each if there is one."""

    code: str | None = None
    field: str | None = None
    text: str | None = None

    @classmethod
    def of(cls, code: object = None, field: object = None, text: object = None) -> Complaint:
        """Keep those of an answer's values that are text."""
        return cls(*(one if isinstance(one, str) and one else None for one in (code, field, text)))


# Reads an answer's JSON object. Total: whatever the vendor sends, it raises nothing.
Explain = Callable[[Mapping[str, Any]], Complaint]


def unexplained(answer: Mapping[str, Any]) -> Complaint:
    """Read nothing: a receiver whose answers have no form says what it likes."""
    return Complaint()


def error_name(value: object) -> str | None:
    """Return a vendor's name for an error, never other text, which may be personal data."""
    return value if isinstance(value, str) and _NAME.fullmatch(value) else None


def read_object(body: bytes | str) -> dict[str, Any] | None:
    """Read a JSON object; None for anything else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def first_object(value: Any) -> dict[str, Any]:
    """Return the first item of a list if it is an object; otherwise an empty one."""
    return value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else {}
