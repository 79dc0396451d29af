"""Messages to an operator's URL, signed by the Standard Webhooks scheme.

Source: standard-webhooks specification, "Signature scheme": HMAC-SHA256 over
`{webhook-id}.{webhook-timestamp}.{body}`, base64, with `v1,` before it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time

import httpx
from pydantic import SecretStr

SECRET_PREFIX = "whsec_"  # noqa: S105  what every secret begins with
SECRET_BYTES = (24, 64)
TIMEOUT_SECONDS = 10.0
GONE = 410


class WebhookFailed(Exception):
    """The message was not taken; says nothing of URL and body. `permanent`: never will be."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class Webhook:
    """One URL and its secret. The caller closes `http`."""

    def __init__(self, http: httpx.AsyncClient, url: SecretStr, secret: SecretStr) -> None:
        """Raises `ValueError` for a secret or a URL that can't be one, without repeating it."""
        self._http = http
        self._key = read_secret(secret)
        self._url = _read_url(url)

    async def send(self, id: str, body: bytes) -> int:
        """Post once; returns the status.

        Raises:
            WebhookFailed: no answer, or one other than 2xx. 410 means: never again.
        """
        timestamp = int(time.time())
        headers = {
            "content-type": "application/json",
            "webhook-id": id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(self._key, id, timestamp, body),
        }
        try:
            response = await self._http.post(self._url, content=body, headers=headers)
        except httpx.HTTPError as err:
            raise WebhookFailed(f"no answer ({type(err).__name__})") from None
        if not response.is_success:
            raise WebhookFailed(
                f"answered with {response.status_code}", permanent=response.status_code == GONE
            )
        return response.status_code


def open_webhook_client() -> httpx.AsyncClient:
    """Close it with `aclose()`. Redirects are not followed: they would carry the message away."""
    return httpx.AsyncClient(
        trust_env=False, follow_redirects=False, timeout=httpx.Timeout(TIMEOUT_SECONDS)
    )


def sign(key: bytes, id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`; `timestamp` in seconds."""
    signed = f"{id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def read_secret(secret: SecretStr) -> bytes:
    """The key in `whsec_<base64>`, of 24 to 64 bytes.

    Raises:
        ValueError: it isn't one. The message doesn't repeat it.
    """
    text = secret.get_secret_value()
    shortest, longest = SECRET_BYTES
    if not text.startswith(SECRET_PREFIX):
        raise ValueError(f"must begin with {SECRET_PREFIX}")
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (ValueError, binascii.Error):
        raise ValueError(f"must be base64 after {SECRET_PREFIX}") from None
    if not shortest <= len(key) <= longest:
        raise ValueError(f"has {len(key)} bytes, must have {shortest} to {longest}")
    return key


def _read_url(url: SecretStr) -> httpx.URL:
    try:
        read = httpx.URL(url.get_secret_value())
    except httpx.InvalidURL:
        raise ValueError("is not a URL") from None
    if read.scheme not in ("http", "https") or not read.host:
        raise ValueError("must begin with https:// and name a host")
    return read
