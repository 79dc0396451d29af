"""Try out an alert target: from the command line and from the console."""

from __future__ import annotations

import base64
import os
import uuid
from collections.abc import Awaitable
from datetime import UTC, datetime

from pydantic import SecretStr

from delivery.alert import Alert, AlertFailed, AlertTarget, AlertType
from destinations.http.exchange import read_url
from destinations.webhook.alerts import AlertClient
from destinations.webhook.signature import SECRET_PREFIX

NEW_SECRET_BYTES = 32


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


def new_secret() -> SecretStr:
    """Make a secret that signs alerts."""
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
