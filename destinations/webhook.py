"""Messages to an operator's URL, signed by the Standard Webhooks scheme.

The URL is the operator's own choice, so it may be internal. Answers are judged by their status;
their bodies are not read.

Source: standard-webhooks specification, "Signature scheme": HMAC-SHA256 over
`{webhook-id}.{webhook-timestamp}.{body}`, base64, with `v1,` before it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping

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
    """Makes requests to URLs that an operator has set. It keeps no connections: they are rare."""

    def __init__(self) -> None:
        self._tls = httpx.create_ssl_context(trust_env=False)

    async def send(self, url: SecretStr, secret: SecretStr, id: str, body: bytes) -> int:
        """Post once; returns the status.

        Raises:
            WebhookFailed: no answer, or one other than 2xx. 410 means: never again.
            ValueError: the URL or the secret can't be one. The message doesn't repeat it.
        """
        timestamp = int(time.time())
        headers = {
            "content-type": "application/json",
            "webhook-id": id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(read_secret(secret), id, timestamp, body),
        }
        return await self._ask("POST", read_url(url), headers, body)

    async def ping(self, url: SecretStr) -> int:
        """Get it once; returns the status. Raises as `send` does."""
        return await self._ask("GET", read_url(url))

    async def _ask(
        self,
        method: str,
        url: httpx.URL,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> int:
        # Redirects are not followed: they would carry the message away.
        http = httpx.AsyncClient(verify=self._tls, trust_env=False, follow_redirects=False)
        try:
            async with (
                asyncio.timeout(TIMEOUT_SECONDS),
                http,
                http.stream(method, url, content=body, headers=headers) as response,
            ):
                status = response.status_code
        except TimeoutError:
            raise WebhookFailed(f"no answer within {TIMEOUT_SECONDS:g} s") from None
        except httpx.HTTPError as err:
            raise WebhookFailed(f"no answer ({type(err).__name__})") from None
        if not 200 <= status < 300:
            raise WebhookFailed(f"answered with {status}", permanent=status == GONE)
        return status


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


def read_url(url: SecretStr) -> httpx.URL:
    """Raises `ValueError`: it isn't one that can be asked. The message doesn't repeat it."""
    try:
        read = httpx.URL(url.get_secret_value())
    except httpx.InvalidURL:
        raise ValueError("is not a URL") from None
    if read.scheme not in ("http", "https") or not read.host:
        raise ValueError("must begin with https:// and name a host")
    return read
