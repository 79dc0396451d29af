"""Remove secrets and personal data from log lines, in case code logs them by mistake."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from structlog.typing import EventDict, WrappedLogger

REDACTED = "[redacted]"

# Fields with such a word in their name, between underscores, are redacted.
_SENSITIVE = frozenset(
    (
        *("authorization", "body", "cookie", "credential", "email", "headers", "identifier"),
        *("input", "password", "payload", "secret", "token", "traits"),
    )
)
_SENSITIVE_PAIRS = ("api_key", "private_key", "payload_key", "credential_key", "resource_id")

# Each pattern visits every character a bounded number of times.
_PATTERNS = (
    # Pydantic repeats the input that it refused.
    (re.compile(r"input_value=.*?(?=, input_type=|$)", re.DOTALL), f"input_value={REDACTED}"),
    (re.compile(r"(?i)\b(basic|bearer) +[A-Za-z0-9+/=._~-]{8,}"), rf"\1 {REDACTED}"),
    (re.compile(r"(?<=://)[^\s/@]{1,200}@"), f"{REDACTED}@"),
    (re.compile(r"[^\s\"'<>(),;:=\[\]{}@]{1,64}(?:@|%40)[^\s\"'<>(),;:=\[\]{}@]{1,255}"), REDACTED),
)
# None of them matches a text without one of these, as most texts are.
_SUSPICIOUS = re.compile(r"@|%40|input_value=|(?i:basic|bearer)")


def redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Redact a log line. Runs right before the renderer, so that it sees tracebacks too."""
    return {name: _redacted(name, value) for name, value in event.items()}


def redact_text(text: str) -> str:
    if not _SUSPICIOUS.search(text):
        return text
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _redacted(name: str, value: Any) -> Any:
    if _names_something_sensitive(name) and value is not None:
        return REDACTED
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {str(inner): _redacted(str(inner), held) for inner, held in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted("", held) for held in value]
    if value is None or isinstance(value, bool | int | float | datetime | UUID):
        return value
    if isinstance(value, BaseException):
        return redact_text(f"{type(value).__name__}: {value}")
    # The text of a model, client or request may contain anything.
    return f"<{type(value).__name__}>"


@lru_cache(maxsize=1_000)
def _names_something_sensitive(name: str) -> bool:
    lowered = name.lower()
    return bool(_SENSITIVE.intersection(lowered.split("_"))) or any(
        pair in lowered for pair in _SENSITIVE_PAIRS
    )
