"""Alerts to an operator's URL: signed by the Standard Webhooks scheme, or as Slack reads them.

The URL is the operator's own choice, so it may be internal.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import httpx
from pydantic import SecretStr

from delivery.alert import Alert, AlertFailed, AlertTarget
from destinations.http.errors import NoReply
from destinations.http.exchange import TOTAL_TIMEOUT_SECONDS, Http, read_url
from destinations.webhook.signature import signed


class AlertClient:
    """Makes requests to URLs that an operator has set: rarely, so it keeps no connection open."""

    def __init__(self, *, total_timeout: float = TOTAL_TIMEOUT_SECONDS) -> None:
        self._tls = httpx.create_ssl_context(trust_env=False)
        self._total_timeout = total_timeout

    async def send(self, target: AlertTarget, alert: Alert, runbook: str) -> int:
        """Post once, in the target's format; return the status.

        Raises:
            AlertFailed: there was no answer, or not a 2xx. After 410, it is permanent.
            ValueError: the URL is not valid. The message doesn't repeat it.
        """
        headers = {"Content-Type": "application/json"}
        if target.format == "slack":
            return await self._ask("POST", target.url, headers, alert.encode_for_slack(runbook))
        body = alert.encode(runbook)
        headers |= signed((target.secret,), f"msg_{alert.id}", datetime.now(UTC), body)
        return await self._ask("POST", target.url, headers, body)

    async def ping(self, url: SecretStr) -> int:
        """Get it once; return the status. Raises as `send` does."""
        return await self._ask("GET", url)

    async def _ask(
        self, method: str, url: SecretStr, headers: Mapping[str, str] = {}, body: bytes = b""
    ) -> int:
        try:
            async with Http(1, tls=self._tls) as http:
                answer = await http.ask(
                    method,
                    read_url(url.get_secret_value()),
                    headers,
                    body,
                    anywhere=True,
                    seconds=self._total_timeout,
                )
        except NoReply as err:
            raise AlertFailed(str(err)) from None
        if not 200 <= (status := answer.status_code) < 300:
            raise AlertFailed(f"answered with {status}", permanent=status == 410)
        return status
