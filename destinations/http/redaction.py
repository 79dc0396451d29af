"""Remove from an answer what must not be kept: secrets, e-mail addresses, what was just sent.

An error page may echo the request. Excerpts of answers are stored, logged and shown, so everything
that can be recognized is replaced, also as JSON, HTML, URLs and Latin-1 spell it. Rather too much
than too little: the word "free" is replaced too if it was a trait's value.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from pydantic import JsonValue, SecretStr

REDACTED = "[redacted]"

# Characters of a trait's value; shorter ones (`yes`, `de`) identify nobody.
MIN_VALUE = 4

# Runs without the characters that usually surround an address. Each character is read once; with a
# pattern of the address itself, a long run without an @ would take much longer.
_RUN = re.compile(r"""[^\s"'<>(),;\[\]{}]+""")
_AT = re.compile(r"[^@](?:@|%40|\\u0040|&#64|&#x40|&commat)", re.IGNORECASE)

# Replaced by REDACTED at the end, so that no later value matches a part of that word.
_MARK = "\0"
_CONTROLS = dict.fromkeys((*range(9), 11, 12, *range(14, 32), *range(127, 160)), "\ufffd")
_WORD = re.compile(r"\w")


def redact(
    text: str, *, secrets: Iterable[SecretStr], sent: Iterable[str], cut: bool = False
) -> str:
    """Return `text` without secrets, personal data and control characters.

    `sent` is what identifies a person in the request. `cut` says that the text's end is missing:
    then the start of a value at that end is removed too. The time grows with the text's length
    times the number of values, never faster.
    """
    text = _clean(text)
    if _WORD.search(text) is None:
        return text
    values = {_clean(form) for secret in secrets for form in _forms(secret.get_secret_value())}
    short: set[str] = set()
    for value in sent:
        (values if len(value) >= MIN_VALUE else short).update(map(_clean, _spellings(value)))
    if cut:
        text = _without_torn_value(text, values)
    for value in _longest_first(values):
        text = text.replace(value, _MARK)
    for value in _longest_first(short):
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", _MARK, text)
    text = _RUN.sub(_without_address, text)
    return text.replace(_MARK, REDACTED)


def strings(value: JsonValue) -> Iterator[str]:
    """Yield a JSON value's strings, at any depth, that are long enough to identify someone."""
    pending = [value]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            if len(value.strip()) >= MIN_VALUE:
                yield value
        elif isinstance(value, dict):
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)


def _forms(secret: str) -> Iterator[str]:
    """Yield the secret as it is, and as it is in an `Authorization` header."""
    if not secret:
        return
    yield from _spellings(secret)
    for plain in (f"{secret}:".encode(), secret.encode()):
        for encoded in (base64.b64encode(plain), base64.urlsafe_b64encode(plain)):
            yield encoded.decode()
            yield encoded.decode().rstrip("=")


def _spellings(value: str) -> Iterable[str]:
    """Return the value as plain text, JSON, HTML, URL, and as Latin-1 that was read as UTF-8."""
    utf8 = value.encode(errors="replace")
    escaped, unicode = _escaped(value), _escaped(value, ensure_ascii=False)
    return {
        value,
        escaped,
        unicode,
        escaped.replace("/", "\\/"),
        # Our request's JSON, quoted in a string of JSON.
        _escaped(escaped),
        _escaped(unicode),
        _escaped(unicode, ensure_ascii=False),
        html.escape(value),
        html.escape(value, quote=False),
        quote(utf8, safe=""),
        quote_plus(utf8),
        value.encode("latin-1", "replace").decode(errors="replace"),
    }


def _escaped(value: str, *, ensure_ascii: bool = True) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii)[1:-1]


def _without_torn_value(text: str, values: Iterable[str]) -> str:
    end = len(text)
    for value in values:
        start = text.find(value[0], max(0, len(text) - len(value) + 1))
        while start != -1 and start < end:
            if value.startswith(text[start:]):
                end = start
            start = text.find(value[0], start + 1)
    return text[:end]


def _longest_first(values: Iterable[str]) -> list[str]:
    """Sort so that a value that contains another is replaced as a whole."""
    return sorted(values, key=lambda value: (-len(value), value))


def _clean(text: str) -> str:
    return text.translate(_CONTROLS)


def _without_address(run: re.Match[str]) -> str:
    return _MARK if _AT.search(run[0]) else run[0]
