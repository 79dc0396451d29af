"""Change and try out an alert target: from the command line and from the console."""

from __future__ import annotations

import base64
import os
import uuid
from collections.abc import Awaitable
from datetime import UTC, datetime

from pydantic import SecretStr

from delivery.alert import Alert, AlertFailed, AlertFormat, AlertTarget, AlertType
from destinations.http.exchange import read_url
from destinations.webhook.alerts import AlertClient
from destinations.webhook.signature import SECRET_PREFIX

NEW_SECRET_BYTES = 32


def changed_target(
    stored: AlertTarget | None,
    url: SecretStr | None,
    *,
    secret: SecretStr | None = None,
    heartbeat_url: SecretStr | None,
    format: AlertFormat | None,
) -> tuple[AlertTarget, bool] | None:
    """Return the target with what is given; the rest stays. An empty heartbeat URL removes it.

    The second value says that the secret is new, so that the receiver has to be given it. None if
    there is no URL.
    """
    if stored is not None:
        url, secret, format = (
            url or stored.url,
            secret or stored.secret_in_use,
            format or stored.format,
        )
        heartbeat_url = stored.heartbeat_url if heartbeat_url is None else heartbeat_url
    if url is None:
        return None
    target = AlertTarget(url, secret or _new_secret(), heartbeat_url or None, format or "signed")
    return target, secret is None and target.format == "signed"


async def try_target(target: AlertTarget, runbook: str) -> dict[str, int | str]:
    """Return the status that each URL answered with, or in words why there is none."""
    client = AlertClient()
    alert = Alert(
        id=str(uuid.uuid4()),
        type=AlertType.TEST,
        occurred_at=datetime.now(UTC),
        message="a test, sent by hand: alerts arrive here",
    )
    answers = {"alert": await _answer(client.send(target, alert, runbook))}
    if target.heartbeat_url is not None:
        answers["heartbeat"] = await _answer(client.ping(target.heartbeat_url))
    return answers


def _new_secret() -> SecretStr:
    random = base64.b64encode(os.urandom(NEW_SECRET_BYTES)).decode()
    return SecretStr(SECRET_PREFIX + random)


def origin_of(url: SecretStr) -> str:
    """Return scheme, host and port: what follows may be a secret."""
    read = read_url(url.get_secret_value())
    return f"{read.scheme}://{read.netloc.decode()}/…"


async def _answer(request: Awaitable[int]) -> int | str:
    try:
        return await request
    except (AlertFailed, ValueError) as err:
        return str(err)
