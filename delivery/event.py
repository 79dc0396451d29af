"""An event as accepted, read from what any backend may have sent."""

from __future__ import annotations

from datetime import datetime

from pydantic import AwareDatetime, JsonValue

from delivery.values import Value


class Event(Value):
    """A product event. `id` is a UUID and the workflow's id; `timestamp` says when it happened."""

    id: str
    workspace: str
    event: str
    payload: dict[str, JsonValue]
    resource: str = "global"
    resource_id: str | None = None
    timestamp: AwareDatetime
    only_rules: tuple[str, ...] | None = None
    test: bool = False


def iso_milliseconds(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and `Z`, the form that both calls carry."""
    from datetime import UTC

    utc = moment.astimezone(UTC)
    return utc.strftime("%Y-%m-%dT%H:%M:%S.") + f"{utc.microsecond // 1000:03d}Z"
