"""Encrypt what is stored with one of several keys, and decrypt it with any of them.

A key reaches every process before any process encrypts with it, so a ring may hold keys newer than
its current one. `use` chooses the current one; until then it is the first, the newest.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12  # the size that GCM is made for: NIST SP 800-38D, 8.2.2, random nonces

HOW_TO_MAKE_A_KEY = 'python3 -c "import base64,os;print(base64.b64encode(os.urandom(32)).decode())"'

_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class UnknownKey(LookupError):
    """The ring has no key of that id."""


class NotAuthentic(ValueError):
    """It was changed, cut short, encrypted with another key of the same id, or bound elsewhere."""


class KeyRing:
    """AES-256-GCM under several keys. An empty ring encrypts nothing and decrypts nothing."""

    def __init__(self, keys: Mapping[str, bytes], *, encrypts: bool = True) -> None:
        """`keys`: 32 bytes by id, the newest first. `encrypts=False`: it only decrypts.

        Raises:
            ValueError: a key has another size.
        """
        for key_id, key in keys.items():
            if len(key) != KEY_BYTES:
                raise ValueError(f"key {key_id!r} has {len(key)} bytes, needs {KEY_BYTES}")
        self._keys = dict(keys)
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self.check_values = {key_id: check_value(key) for key_id, key in keys.items()}
        # The id of the key that encrypts; None for a ring that only decrypts.
        self.current = next(iter(keys), None) if encrypts else None

    def use(self, key_id: str) -> None:
        """Encrypt with this key from now on. Raises `UnknownKey`."""
        if key_id not in self._ciphers:
            raise UnknownKey(key_id)
        self.current = key_id

    def encrypt(self, plain: bytes, bound_to: bytes | None) -> tuple[str, bytes]:
        """Return the current key's id, and nonce, cipher text and tag as one.

        `bound_to` names the place where it belongs: with another it can't be decrypted.
        """
        if self.current is None:
            raise UnknownKey("")
        nonce = os.urandom(NONCE_BYTES)
        return self.current, nonce + self._ciphers[self.current].encrypt(nonce, plain, bound_to)

    def decrypt(self, key_id: str, data: bytes, bound_to: bytes | None) -> bytes:
        """Raises `UnknownKey`, or `NotAuthentic`, which doesn't say what was wrong."""
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise UnknownKey(key_id)
        try:
            return cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], bound_to)
        except (InvalidTag, ValueError):  # ValueError: fewer bytes than a nonce
            raise NotAuthentic from None

    def derived(self, key_id: str, purpose: bytes) -> bytes:
        """Return a key of 32 bytes for another purpose. Raises `UnknownKey`."""
        if key_id not in self._keys:
            raise UnknownKey(key_id)
        return hmac.new(
            self._keys[key_id], b"emitonce derived key|" + purpose, hashlib.sha256
        ).digest()


def check_value(key: bytes) -> str:
    """Distinguish two keys of the same id, without revealing anything of either."""
    return hmac.new(key, b"emitonce key check", hashlib.sha256).hexdigest()[:16]


def parse_keys(setting: str, text: str) -> dict[str, bytes]:
    """Read keys by id from `id:base64 of 32 bytes`, several separated by commas.

    Raises:
        ValueError: names `setting` and what is wrong; never quotes a part of a key.
    """
    keys: dict[str, bytes] = {}
    for entry in text.split(","):
        key_id, _, value = entry.strip().partition(":")
        if not key_id or not value:
            raise ValueError(f"{setting}: each entry must read id:base64")
        if not _KEY_ID.fullmatch(key_id):
            # Not repeated: someone may have put the key where its id belongs.
            raise ValueError(f"{setting}: an id is 1 to 64 letters, digits or any of . _ -")
        if key_id in keys:
            raise ValueError(f"{setting}: the id {key_id!r} is there twice")
        key = _decode(setting, key_id, value)
        if len(key) != KEY_BYTES:
            raise ValueError(f"{setting}: key {key_id!r} has {len(key)} bytes, needs {KEY_BYTES}")
        if key in keys.values():
            raise ValueError(f"{setting}: key {key_id!r} repeats an earlier one; make a new one")
        keys[key_id] = key
    return keys


def _decode(setting: str, key_id: str, value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        raise ValueError(f"{setting}: key {key_id!r} is not base64") from None
