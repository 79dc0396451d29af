"""What a publishable key may do. Whoever looks at the page that holds it may do the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal
from urllib.parse import urlsplit

from catalog import values
from catalog.database import Record
from catalog.errors import InvalidValue

MOST_NAMED = 100  # events, and origins, of one key

Identify = Literal["any", "anonymous"]

_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\]")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class KeyRights:
    """What it may emit (`events`) and from where (`origins`); None means any.

    If `identify` is `anonymous`, it may emit only about visitors, not about people by their id or
    e-mail.
    """

    events: tuple[str, ...] | None = None
    origins: tuple[str, ...] | None = None
    identify: Identify = "any"

    @classmethod
    def of(
        cls,
        events: Sequence[str] | None,
        origins: Sequence[str] | None,
        identify: str | None,
    ) -> KeyRights:
        """Check rights that someone has chosen; None means any. Raises `InvalidValue`."""
        if identify not in (None, "any", "anonymous"):
            raise InvalidValue("identify", "must be any or anonymous")
        return cls(
            events=_named("events", events, _event),
            origins=_named("origins", origins, partial(origin, "origins")),
            identify="anonymous" if identify == "anonymous" else "any",
        )

    @property
    def narrowed(self) -> bool:
        return self != WIDEST

    @property
    def wide(self) -> bool:
        """Whether it may rewrite any person. Origins stop other pages, but not scripts."""
        return self.events is None and self.identify == "any"

    def may_emit(self, event: str) -> bool:
        return self.events is None or event in self.events

    def may_come_from(self, origins: Sequence[str]) -> bool:
        """`origins` are all the `Origin` headers of a request; a browser sends exactly one."""
        if self.origins is None:
            return True
        return len(origins) == 1 and origins[0].lower() in self.origins


WIDEST = KeyRights()


def rights_of(row: Record) -> KeyRights:
    return KeyRights(
        events=None if row["events"] is None else tuple(row["events"]),
        origins=None if row["origins"] is None else tuple(row["origins"]),
        identify=row["identify"],
    )


def _named(
    field: str, given: Sequence[str] | None, read: Callable[[str], str]
) -> tuple[str, ...] | None:
    if given is None:
        return None
    if not 1 <= len(given) <= MOST_NAMED:
        raise InvalidValue(field, f"has {len(given)}, must have 1 to {MOST_NAMED}; absent for any")
    return tuple(dict.fromkeys(map(read, given)))


def _event(text: str) -> str:
    return values.event_name(text, "events").strip()


def origin(field: str, text: str) -> str:
    """Write an origin as browsers do: only scheme, host, and the port if it isn't the scheme's own.

    Raises `InvalidValue`, which names `field`.
    """
    problem = "must be like https://www.example.com, without a path"
    try:
        parts = urlsplit(text.strip().lower())
        port = parts.port
    except ValueError:
        raise InvalidValue(field, problem) from None
    host = parts.netloc.removesuffix(f":{port}") if port is not None else parts.netloc
    if parts.scheme not in _DEFAULT_PORTS or not _HOST.fullmatch(host):
        raise InvalidValue(field, problem)
    if parts.path or parts.query or parts.fragment:
        raise InvalidValue(field, problem)
    shown = "" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{shown}"
