"""The real parts, wired together for a test: server, catalog, simulator, worker, emitter."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")

SAMPLE: dict[str, Any] = {
    "userId": "usr_2048",
    "email": "test@example.com",
    "first_name": "Test",
    "last_name": "User",
    "plan": "pro",
}
