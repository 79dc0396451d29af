"""What every emitter returns for an event that it has emitted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class AcceptedEvent:
    """An event that is stored and will be delivered. As text it is its id."""

    id: str
    event: str
    workspace: str
    created_at: datetime

    def __str__(self) -> str:
        return self.id
