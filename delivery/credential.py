"""What the requests of one connection are made with."""

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
    """What a connection's requests are made with, and whether it may be used, at one moment.

    `settings` and `secrets` are by the keys of its destination's fields.
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
    """Nobody sends before; by this process's clock. None when nothing slows it."""
