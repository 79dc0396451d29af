"""Sign by the Standard Webhooks scheme: HMAC-SHA256 over id, time and body.

Source: standard-webhooks specification, "Signature scheme" and "Signing secrets".
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from datetime import datetime

from pydantic import SecretStr
from standardwebhooks import Webhook

SECRET_PREFIX = "whsec_"  # noqa: S105  what every secret starts with
SECRET_BYTES = (24, 64)


def signed(secrets: Iterable[SecretStr], id: str, moment: datetime, body: bytes) -> dict[str, str]:
    """Return the headers that identify a message and sign it, once with each secret.

    `id` is the same in every attempt; `moment` (aware) is when the message is sent this time.
    """
    signatures = [
        Webhook(read_secret(secret.get_secret_value())).sign(id, moment, body.decode())
        for secret in secrets
    ]
    headers = {"webhook-id": id, "webhook-timestamp": str(int(moment.timestamp()))}
    return headers | ({"webhook-signature": " ".join(signatures)} if signatures else {})


def read_secret(text: str) -> str:
    """Check `whsec_<base64>` of 24 to 64 bytes.

    Raises:
        ValueError: the secret is not valid. The message doesn't repeat it.
    """
    text = text.strip()
    shortest, longest = SECRET_BYTES
    if not text.startswith(SECRET_PREFIX):
        raise ValueError(f"must start with {SECRET_PREFIX}")
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        raise ValueError(f"must be base64 after {SECRET_PREFIX}") from None
    if not shortest <= len(key) <= longest:
        raise ValueError(f"has {len(key)} bytes, must have {shortest} to {longest}")
    return text
