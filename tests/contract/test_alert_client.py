"""What an operator's endpoint may do to the worker that posts to it: nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from delivery.alert import Alert, AlertFailed, AlertTarget, AlertType
from destinations.webhook.alerts import AlertClient
from tests.operations.alert_receiver import SECRET

ALERT = Alert(id="1", type=AlertType.TEST, occurred_at=datetime.now(UTC), message="a test")
HEAD = b"HTTP/1.1 %d\r\ntransfer-encoding: chunked\r\n\r\n"
CHUNK = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"


class Endpoint:
    """Answers with a status, or with nothing, and then goes on sending forever."""

    def __init__(self, status: int | None) -> None:
        self.url = ""
        self.sent = 0
        self.left = asyncio.Event()
        self._status = status

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            if self._status is None:
                await reader.read(-1)
                return
            writer.write(HEAD % self._status)
            while True:
                writer.write(CHUNK)
                await writer.drain()
                self.sent += len(CHUNK)
        except ConnectionError:
            pass
        finally:
            self.left.set()
            writer.close()


@asynccontextmanager
async def endpoint(status: int | None) -> AsyncIterator[Endpoint]:
    answering = Endpoint(status)
    server = await asyncio.start_server(answering.serve, "127.0.0.1", 0)
    answering.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    async with server:
        yield answering


async def post(url: str, seconds: float = 10) -> int:
    client = AlertClient(total_timeout=seconds)
    return await client.send(AlertTarget(SecretStr(url), SecretStr(SECRET)), ALERT, "runbook.md")


@pytest.mark.parametrize("status", [200, 500])
async def test_an_answer_without_an_end_is_judged_by_its_status(status: int) -> None:
    async with endpoint(status) as answering:
        if status == 200:
            assert await post(answering.url) == 200
        else:
            with pytest.raises(AlertFailed, match="answered with 500"):
                await post(answering.url)
        await answering.left.wait()
        assert answering.sent < 64 * len(CHUNK)


async def test_no_answer_is_not_waited_for_longer_than_the_limit() -> None:
    async with endpoint(None) as answering:
        with pytest.raises(AlertFailed, match=r"no answer from 127\.0\.0\.1 in time"):
            await post(answering.url, 0.2)
        await answering.left.wait()
