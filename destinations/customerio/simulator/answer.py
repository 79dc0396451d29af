"""The simulator's answers."""

from __future__ import annotations

import json
from dataclasses import dataclass

JSON_TYPE = "application/json; charset=utf-8"


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = JSON_TYPE


ACCEPTED = Answer(200, b"{}\n")
NOT_FOUND = Answer(404)
METHOD_NOT_ALLOWED = Answer(405, headers=(("Allow", "POST"),))


def refused(*errors: str, status: int = 400) -> Answer:
    """Make the answer to an invalid call, in the envelope of the API reference's 400."""
    return json_answer({"meta": {"errors": list(errors)}}, status=status)


def json_answer(value: object, *, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value, ensure_ascii=False).encode(errors="replace") + b"\n")
