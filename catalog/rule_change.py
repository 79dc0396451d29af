"""A change of a rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from catalog import values

_CHECKS: dict[str, Callable[[Any], Any]] = {
    "event": values.event_name,
    "resource": values.resource,
    "resource_id": values.resource_id,
}


class RuleChange(BaseModel):
    """What isn't given stays as it is. `resource` and `resource_id` of None match any."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    event: str = ""
    resource: str | None = None
    resource_id: str | None = None
    metadata: Mapping[str, Any] = {}
    active: bool = True
    hidden: bool = False

    def checked(self) -> dict[str, Any]:
        """Return what to change, by column; metadata as given. Raises `InvalidValue`."""
        given = self.model_dump(exclude_unset=True)
        return given | {name: _CHECKS[name](given[name]) for name in given.keys() & _CHECKS.keys()}
