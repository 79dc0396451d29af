"""Encrypt stored credentials. Each is bound to its row: copied into another, it doesn't decrypt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from catalog.errors import CannotDecrypt
from emitonce.key_ring import KeyRing, NotAuthentic, UnknownKey


@dataclass(frozen=True)
class Encrypted:
    """An encrypted secret: `data` is nonce, cipher text and tag; `key_id` names the key."""

    key_id: str
    data: bytes


class CredentialCipher:
    """Every key of `ring` decrypts; its current one encrypts."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """`keys`: 32 bytes by id, the newest first.

        Raises:
            ValueError: there is no key, or one has another size.
        """
        if not keys:
            raise ValueError("a credential cipher needs at least one key")
        self.ring = KeyRing(keys)

    def encrypt(self, secret: SecretStr, *, workspace: str, connection: str) -> Encrypted:
        plain = secret.get_secret_value().encode()
        return Encrypted(*self.ring.encrypt(plain, _bound_to(workspace, connection)))

    def decrypt(self, encrypted: Encrypted, *, workspace: str, connection: str) -> SecretStr:
        """Decrypt it. Raises `CannotDecrypt`, whether key, bytes or place are wrong."""
        bound_to = _bound_to(workspace, connection)
        try:
            plain = self.ring.decrypt(encrypted.key_id, encrypted.data, bound_to)
        except (UnknownKey, NotAuthentic):
            raise CannotDecrypt from None
        return SecretStr(plain.decode())


def _bound_to(workspace: str, connection: str) -> bytes:
    return f"emitonce.credential.1|{workspace}|{connection}".encode()
