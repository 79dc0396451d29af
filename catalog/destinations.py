"""What the catalog has to know of destinations; `destinations.registry` has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from catalog.workers import Releases


class Destinations(Releases, Protocol):
    def read_field(self, type: str, key: str, text: str) -> str:
        """A connection's field as it is stored. Raises `InvalidField`."""
        ...

    def read_metadata(self, type: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """A rule's metadata as stored: what is read has its type, everything else is kept.

        Raises:
            InvalidField: there is no such action, or a value can't be read.
        """
        ...
