"""What a key of the HTTP API, or someone who signs in to the console, may do."""

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

# Roles of people, each a bundle of scopes. `payload` can be added to any of them.
ROLES = {
    "viewer": frozenset((READ,)),
    "operator": frozenset((READ, OPERATE)),
    "admin": ALL,
}


def read_scopes(given: Iterable[str]) -> frozenset[str]:
    """Scopes as someone has chosen them. Raises `InvalidValue`."""
    scopes = frozenset(given)
    if not scopes:
        raise InvalidValue("scopes", f"is empty, must be some of {', '.join(SCOPES)}")
    for unknown in sorted(scopes - ALL):
        raise InvalidValue("scopes", f"has {unknown!r}, must be some of {', '.join(SCOPES)}")
    return scopes


def scopes_of_roles(names: Iterable[str]) -> frozenset[str]:
    """Return what someone with all these roles may do; nothing if none of them is a role."""
    given = frozenset(names)
    scopes = frozenset[str]().union(*(ROLES[name] for name in given & ROLES.keys()))
    return scopes | (given & {PAYLOAD}) if scopes else scopes


def role_of(scopes: frozenset[str]) -> str | None:
    """Return the role that has these scopes, whether `payload` was added to it or not."""
    by_scopes = {own | {PAYLOAD}: name for name, own in ROLES.items()}
    return by_scopes.get(scopes | {PAYLOAD})


def in_order(scopes: Iterable[str]) -> list[str]:
    return sorted(scopes, key=SCOPES.index)
