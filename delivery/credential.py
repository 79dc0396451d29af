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
class Credential:
    """What a request is made with, by the keys of the destination's fields."""

    settings: Mapping[str, str]
    secrets: Mapping[str, SecretStr]


@dataclass(frozen=True)
class ConnectionCredential(Credential):
    """A connection's settings and secrets, and whether it may be used, as they are now."""

    connection: str
    workspace: str
    type: str
    status: ConnectionStatus
    inactive_reason: InactiveReason | None
    version: int
    requests_per_second: int | None = None
    # When requests may be sent again, by this process's clock; None if they may be now.
    slowed_until: datetime | None = None
