"""How a connection's key is checked: by the destination, which is handed in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from catalog.connections import Credential


class KeyCheck(Protocol):
    """`verdict` is ok, wrong_key, wrong_region or unknown; `region` is where the key is right."""

    @property
    def verdict(self) -> str: ...

    @property
    def message(self) -> str: ...

    @property
    def region(self) -> str | None: ...


Verify = Callable[[Credential], Awaitable[KeyCheck]]
