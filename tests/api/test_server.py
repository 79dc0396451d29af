"""How the server listens: it shares a process, so a fault of its own must be told plainly."""

from __future__ import annotations

import asyncio
import socket

import httpx
import pytest

from destinations.customerio.simulator import Fault
from starter.api import AddressTaken, served
from starter.api.server import listen
from tests.api.caller import Api, dependencies_of


async def test_answers_are_sent_without_waiting_for_acknowledgements():
    """Without TCP_NODELAY each answer took 40 ms more."""
    accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found = writer.get_extra_info("socket")
        accepted.set_result(found.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listening = listen("127.0.0.1", 0)
    server = await asyncio.start_server(handle, sock=listening)
    _, writer = await asyncio.open_connection(*listening.getsockname())
    assert await accepted != 0
    writer.close()
    server.close()


async def test_address_that_is_taken_is_told_with_its_remedy(api: Api):
    port = int(api.url.rsplit(":", 1)[1])
    with pytest.raises(AddressTaken, match="EMITONCE_HTTP_PORT"):
        async with served(dependencies_of(api.stack), host="127.0.0.1", port=port):
            raise AssertionError("it listens twice")


async def test_request_in_flight_is_finished_when_told_to_stop(api: Api):
    """A test event whose call takes a while is answered although the server stops meanwhile."""
    rule = await api.stack.rule()
    api.stack.sim.fail("identify", fault=Fault(delay=1.0), times=1)
    headers = api.machine.headers()
    async with httpx.AsyncClient(timeout=40) as http:
        async with served(dependencies_of(api.stack), host="127.0.0.1", port=0) as url:
            asking = asyncio.create_task(
                http.post(f"{url}/api/v1/rules/{rule.id}/test", headers=headers)
            )
            await api.stack.sim.until(lambda: len(api.stack.calls()) == 1)
        answer = await asking
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")
