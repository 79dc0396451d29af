"""What a key of the HTTP API may do."""

from __future__ import annotations

from collections.abc import Iterable

from catalog.errors import InvalidValue

EMIT = "emit"  # emit events
READ = "read"  # look at everything but what is said of people
PAYLOAD = "payload"  # look at payloads and requests, and so at people
OPERATE = "operate"  # pause, resume, retry, redeliver, cancel, test
MANAGE = "manage"  # change workspaces, connections, rules, mappings and keys

SCOPES = (EMIT, READ, PAYLOAD, OPERATE, MANAGE)
ALL = frozenset(SCOPES)


def read_scopes(given: Iterable[str]) -> frozenset[str]:
    """Scopes as somebody has chosen them. Raises `InvalidValue`."""
    scopes = frozenset(given)
    if not scopes:
        raise InvalidValue("scopes", f"is empty, must be some of {', '.join(SCOPES)}")
    for unknown in sorted(scopes - ALL):
        raise InvalidValue("scopes", f"has {unknown!r}, must be some of {', '.join(SCOPES)}")
    return scopes


def in_order(scopes: Iterable[str]) -> list[str]:
    return sorted(scopes, key=SCOPES.index)
