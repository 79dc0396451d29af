"""Ids that reveal nothing, made of idempotency keys, resource ids and people with a secret.

All may hold personal data, an e-mail address for one. Hashed without a secret they could be
guessed back; the same secret in every process makes the same key the same event.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import unicodedata
import uuid
from dataclasses import dataclass, field

SECRET_BYTES = 32


@dataclass(frozen=True)
class Hashes:
    """What stands for resource ids and people in one instance."""

    secret: bytes = field(repr=False)

    def resource_id(self, resource_id: str) -> str:
        return resource_id_hash(self.secret, resource_id)

    def person(self, workspace: str, identifier: str) -> str:
        return person_hash(self.secret, workspace, identifier)


def decode_secret(name: str, text: str) -> bytes:
    """The secret that the ids are made with: at least 32 bytes, in base64.

    Raises:
        ValueError: names the setting and what is wrong; never holds a part of it. A stray character
            would otherwise be another secret, and so other ids.
    """
    try:
        secret = base64.b64decode(text, validate=True)
    except ValueError:
        raise ValueError(f"{name}: is not base64") from None
    if len(secret) < SECRET_BYTES:
        raise ValueError(f"{name}: has {len(secret)} bytes, needs at least {SECRET_BYTES}")
    return secret


def event_id_for(
    secret: bytes, workspace: str, idempotency_key: str, *, namespace: str | None = None
) -> str:
    """The event id, a UUID (version 8 of RFC 9562: custom), that an idempotency key stands for.

    In a `namespace` of its own, a UUID, the same key stands for another event.
    """
    if namespace is None:
        digest = _mac(secret, "event", f"{workspace.lower()}|{idempotency_key}")[:16]
    else:
        named = f"{workspace.lower()}|{namespace.lower()}|{idempotency_key}"
        digest = _mac(secret, "event in a namespace", named)[:16]
    return _custom_uuid(digest)


def user_id_for(secret: bytes, issuer: str, subject: str) -> str:
    """The id, a UUID of the same kind, of who is `subject` to an OpenID Connect provider."""
    return _custom_uuid(_mac(secret, "user", f"{issuer}|{subject}")[:16])


def _custom_uuid(digest: bytes) -> str:
    octets = bytearray(digest)
    octets[6] = octets[6] & 0x0F | 0x80
    octets[8] = octets[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(octets)))


def resource_id_hash(secret: bytes, resource_id: str) -> str:
    """32 hexadecimal digits that stand for a resource id where no personal data may."""
    return _mac(secret, "resource", resource_id).hex()[:32]


def person_hash(secret: bytes, workspace: str, identifier: str) -> str:
    """32 hexadecimal digits that stand for one identifier of a person, in one workspace only.

    White space around it and the form of Unicode make no difference, nor does case where it is an
    e-mail address.
    """
    text = identifier.strip()
    text = unicodedata.normalize("NFC", text.lower() if "@" in text else text)
    return _mac(secret, "person", f"{workspace.lower()}|{text}").hex()[:32]


def fingerprint(secret: bytes, body: bytes) -> str:
    """Return what is equal when an idempotency key comes with the same body again."""
    return _mac(secret, "fingerprint", body).hex()


def _mac(secret: bytes, purpose: str, data: str | bytes) -> bytes:
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    return hmac.new(secret, purpose.encode() + b"\0" + raw, hashlib.sha256).digest()
