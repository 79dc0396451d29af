"""The example receiver verifies what a webhook sends, and handles a repetition once."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from destinations.http.exchange import Http
from destinations.webhook.client import WebhookClient
from tests.contract.test_webhook_client import FIRST, MESSAGE, SECOND, connection

EXAMPLE = Path(__file__).parents[2] / "examples" / "webhook-receiver" / "receive.py"


async def test_the_example_handles_what_is_signed_with_its_secret_once() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLE),
        "0",
        env={"EMITONCE_SIGNING_SECRET": FIRST, "PYTHONIOENCODING": "utf-8"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            port = int((await process.stdout.readline()).split()[-1])
            url = f"http://127.0.0.1:{port}/"
            statuses = []
            async with Http(private_hosts=[("127.0.0.1", port)]) as http:
                client = WebhookClient(http)
                for secrets in ({"signing_secret": FIRST}, {"signing_secret": SECOND}, {}):
                    for _ in range(2):
                        outcome = await client.send(MESSAGE, connection(url, secrets))
                        statuses.append(outcome.status_code)
        assert statuses == [204, 204, 401, 401, 401, 401]
    finally:
        process.terminate()
        out, _ = await process.communicate()
    [line] = out.decode().splitlines()
    assert line == f"{MESSAGE.body['event']} {MESSAGE.body['payload']}"
