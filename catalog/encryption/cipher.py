"""Stored credentials: AES-256-GCM under a ring of keys."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from catalog.errors import CannotDecrypt

KEY_BYTES = 32
NONCE_BYTES = 12  # the size that GCM is made for: NIST SP 800-38D, 8.2.2, random nonces

_FORMAT = "emitonce.credential.1"


@dataclass(frozen=True)
class Encrypted:
    """`data` is nonce, cipher text and tag; `key_id` names the key of the ring that opens it."""

    key_id: str
    data: bytes


class CredentialCipher:
    """Every key decrypts; one encrypts: the first, until `use` names another.

    What is encrypted is bound to its workspace and connection: copied into another row, it doesn't
    open there.
    """

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """`keys`: 32 bytes by id, in order. Raises ValueError for none or one of another size."""
        if not keys:
            raise ValueError("a credential cipher needs at least one key")
        for key_id, key in keys.items():
            if len(key) != KEY_BYTES:
                raise ValueError(f"key {key_id!r} has {len(key)} bytes, needs {KEY_BYTES}")
        self._ring = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._current = next(iter(keys))
        self.check_values = {key_id: _check_value(key) for key_id, key in keys.items()}

    @property
    def current(self) -> str:
        """The id of the key that encrypts."""
        return self._current

    def use(self, key_id: str) -> None:
        """Encrypt with this one from now on; one that the ring has."""
        if key_id not in self._ring:
            raise CannotDecrypt
        self._current = key_id

    def encrypt(self, secret: SecretStr, *, workspace: str, connection: str) -> Encrypted:
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._ring[self._current].encrypt(
            nonce, secret.get_secret_value().encode(), _bound_to(workspace, connection)
        )
        return Encrypted(key_id=self._current, data=nonce + sealed)

    def decrypt(self, encrypted: Encrypted, *, workspace: str, connection: str) -> SecretStr:
        """Raises `CannotDecrypt`; it doesn't say whether key, bytes or place were wrong."""
        key = self._ring.get(encrypted.key_id)
        if key is None:
            raise CannotDecrypt
        nonce, sealed = encrypted.data[:NONCE_BYTES], encrypted.data[NONCE_BYTES:]
        try:
            plain = key.decrypt(nonce, sealed, _bound_to(workspace, connection))
        except (InvalidTag, ValueError):  # ValueError: fewer bytes than a nonce
            raise CannotDecrypt from None
        return SecretStr(plain.decode())


def _check_value(key: bytes) -> str:
    """Tells two keys of the same id apart without giving away anything of either."""
    return hmac.new(key, b"emitonce key check", hashlib.sha256).hexdigest()[:16]


def _bound_to(workspace: str, connection: str) -> bytes:
    return f"{_FORMAT}|{workspace}|{connection}".encode()
