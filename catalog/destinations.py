"""What the catalog has to know of destinations; `destinations.registry` implements it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from catalog.workers import Releases


class Destinations(Releases, Protocol):
    def read_fields(self, type: str, given: Mapping[str, str]) -> dict[str, str]:
        """Read all fields of a connection as they are stored; a blank one counts as absent.

        Raises:
            InvalidField: a value is wrong, or a field is missing or unknown.
        """
        ...

    def secret_keys(self, type: str) -> tuple[str, ...]:
        """Return the keys of those fields that are stored encrypted."""
        ...

    def read_metadata(self, type: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """Read a rule's metadata as it is stored: what is read has its type, all else is kept.

        Raises:
            InvalidField: there is no such action, or a value can't be read.
        """
        ...
