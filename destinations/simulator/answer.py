"""What a vendor says back."""

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


NOT_FOUND = Answer(404)


def json_answer(value: object, *, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value, ensure_ascii=False).encode(errors="replace") + b"\n")
