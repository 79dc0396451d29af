"""What both kinds of API keys share: their format, and how their changes are announced."""

from __future__ import annotations

import hashlib
import re
import secrets
import string

from catalog import values
from catalog.database import Record
from catalog.scopes import ALL

# In place of a workspace, what is announced when any key changes.
KEYS = "keys"

NAME_CHARACTERS = 100

LARGEST_LIST = 1_000

ACCESS_KEY = re.compile(r"mk_[A-Za-z0-9_-]{22,128}")  # as Meshes' clients check it

# A token shows what it is; its first part, by which it is found, is not secret.
TOKEN = re.compile(r"(emitonce_[A-Za-z0-9]{12})_[A-Za-z0-9]{43}")

_ALPHANUMERIC = string.ascii_letters + string.digits


def random_text(characters: int) -> str:
    return "".join(secrets.choice(_ALPHANUMERIC) for _ in range(characters))


def key_name(text: str) -> str:
    return values.free_text("name", text, shortest=1, longest=NAME_CHARACTERS)


def scopes_of(row: Record) -> frozenset[str]:
    return ALL if row["scopes"] is None else frozenset(row["scopes"])


def hash_of(token: str) -> bytes:
    """SHA-256: a token is random enough that nobody can go through all that could have it."""
    return hashlib.sha256(token.encode()).digest()
