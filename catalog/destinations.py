"""What the catalog has to know of destinations; `destinations.registry` has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from catalog.workers import Releases


class Destinations(Releases, Protocol):
    def read_fields(self, type: str, given: Mapping[str, str]) -> dict[str, str]:
        """All fields of a connection as they are stored; a blank one counts as absent.

        Raises:
            InvalidField: a value, a missing field, or one that the destination doesn't have.
        """
        ...

    def secret_keys(self, type: str) -> tuple[str, ...]:
        """Those of its fields that are stored encrypted."""
        ...

    def read_metadata(self, type: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """A rule's metadata as stored: what is read has its type, everything else is kept.

        Raises:
            InvalidField: there is no such action, or a value can't be read.
        """
        ...
