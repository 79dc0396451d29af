"""The settings and secrets with which the requests of one connection are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import SecretStr

from delivery.outcome import InactiveReason

ConnectionStatus = Literal["active", "paused", "inactive"]


@dataclass(frozen=True)
class ConnectionCredential:
    """A connection's settings and secrets, and whether it may be used, as they are now.

    The keys of `settings` and `secrets` are those of its destination's fields.
    """

    connection: str
    workspace: str
    type: str
    status: ConnectionStatus
    inactive_reason: InactiveReason | None
    settings: Mapping[str, str]
    secrets: Mapping[str, SecretStr]
    version: int
    requests_per_second: int | None = None
    slowed_until: datetime | None = None
    """When requests may be sent again, by this process's clock; None if they may be now."""
