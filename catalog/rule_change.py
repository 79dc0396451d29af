"""What is to be changed of a rule, where None is a value and so can't mean "as it is"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from catalog import values


class Keep(Enum):
    """For a field that is not to be changed, where None is a value."""

    KEEP = "keep"


KEEP = Keep.KEEP


@dataclass(frozen=True)
class RuleChange:
    """`KEEP` leaves a field as it is; `resource` and `resource_id` of None match any."""

    event: str | Keep = KEEP
    resource: str | Keep | None = KEEP
    resource_id: str | Keep | None = KEEP
    metadata: Mapping[str, Any] | Keep = KEEP
    active: bool | Keep = KEEP
    hidden: bool | Keep = KEEP

    def checked(self) -> dict[str, Any]:
        """What is to be changed, by column; metadata as given. Raises `InvalidValue`."""
        checks: dict[str, Callable[[Any], Any]] = {
            "event": values.event_name,
            "resource": values.resource,
            "resource_id": values.resource_id,
            "metadata": dict,
            "active": bool,
            "hidden": bool,
        }
        return {
            name: check(getattr(self, name))
            for name, check in checks.items()
            if getattr(self, name) is not KEEP
        }
