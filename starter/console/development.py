"""A machine key for development: made once, kept beside the databases, so that signing in is easy.

Never in production, where no secret lies in a file of ours.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from catalog import Catalog
from catalog.api_key_lookup import MachineCaller
from catalog.errors import NotFound

FILE = "development-key.json"
NAME = "Development"


@dataclass(frozen=True)
class DevelopmentKey:
    """`link_token` opens one session without typing the key."""

    access_key: str
    secret_key: str
    link_token: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def sign_in_path(self) -> str:
        return f"/sign-in/development/{self.link_token}"


async def development_key(catalog: Catalog, organization: str, data_dir: Path) -> DevelopmentKey:
    """Return the key kept in `data_dir`; a new one if there is none, or if it was revoked."""
    path = data_dir / FILE
    kept = await _kept(catalog, organization, path)
    if kept is not None:
        return kept
    made = await catalog.machine_keys.create(organization, name=NAME, created_by="emitonce dev")
    access_key, secret_key = made.key.access_key, made.secret_key.get_secret_value()
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"access_key": access_key, "secret_key": secret_key}, file)
    draft.replace(path)
    return DevelopmentKey(access_key, secret_key)


async def _kept(catalog: Catalog, organization: str, path: Path) -> DevelopmentKey | None:
    try:
        stored = json.loads(path.read_text())  # noqa: ASYNC240 (a few bytes, once)
        access_key, secret_key = str(stored["access_key"]), str(stored["secret_key"])
        known: MachineCaller = await catalog.api_key_lookup.machine(access_key)
    except (OSError, ValueError, KeyError, TypeError, NotFound):
        return None
    right = known.organization == organization and known.proved_by(secret_key)
    return DevelopmentKey(access_key, secret_key) if right else None
