"""A development server starts although another program takes a port that was free just before."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from engine.connect import connect
from starter.dev import temporal_server
from starter.dev.temporal_server import HOST, DevServer, Ports, PortTaken


@pytest_asyncio.fixture
async def taken() -> AsyncIterator[int]:
    """A port in use, on which nobody answers."""
    with socket.socket() as other:
        other.bind((HOST, 0))
        yield other.getsockname()[1]


@pytest.mark.parametrize("which", [0, 1])
async def test_a_port_that_is_taken_meanwhile_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int, which: int
) -> None:
    free, given = temporal_server.free_port, []

    def chosen() -> int:
        given.append(taken if len(given) == which else free())
        return given[-1]

    monkeypatch.setattr(temporal_server, "free_port", chosen)
    server = await DevServer.start(tmp_path, in_memory=True)
    try:
        assert given[which] == taken
        assert len(given) == 4
        await connect(server.address)
        assert server.ui_url is not None
        await asyncio.open_connection(HOST, int(server.ui_url.rpartition(":")[2]))
    finally:
        await server.stop()


async def test_it_gives_up_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    monkeypatch.setattr(temporal_server, "free_port", lambda: taken)
    with pytest.raises(PortTaken, match="address already in use"):
        await DevServer.start(tmp_path, ports=Ports(), in_memory=True, ui=False)
