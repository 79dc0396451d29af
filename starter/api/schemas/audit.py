"""Who did what, as the API shows it."""

from __future__ import annotations

from typing import Literal

from starter.api.schemas.shared import Answer


class RecordedAct(Answer):
    """`actor` is a key's id, or `cli:` and a name; `network` that from which it was done; `ids`
    what it was done to, and what it has made.
    """

    id: str
    created_at: str
    via: Literal["api", "console", "cli"]
    actor: str
    act: str
    ids: dict[str, str]
    network: str | None
    outcome: str | None
