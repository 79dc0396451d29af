"""The blocking emitter keeps one thread, whatever happens to its connection."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from socket import create_server

import pytest

from emitonce import NotAccepted, SyncEmitter
from starter.dev.temporal_server import free_port
from tests.clients.conftest import ROOT, run
from tests.integration.stack import SAMPLE, Stack

WORKSPACE = "5f0c6a1e-3c1b-4d7e-9a51-0d6f2b8c7e44"


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that accepts connections and says nothing."""
    with create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "emitonce"]


def open_loops() -> int:
    loops = [one for one in gc.get_objects() if isinstance(one, asyncio.BaseEventLoop)]
    return sum(not loop.is_closed() for loop in loops)


def test_connects_that_fail_leave_no_threads_and_loops_behind() -> None:
    emitter = SyncEmitter(address="127.0.0.1:9", workspace=WORKSPACE)
    before = open_loops()
    for _ in range(5):
        with pytest.raises(NotAccepted):
            emitter.emit("user.signup", SAMPLE)
    assert len(threads()) == 1
    assert open_loops() == before + 1
    emitter.close()
    assert threads() == []
    assert open_loops() == before


def test_an_emit_that_waits_keeps_no_other_thread_waiting(silent: str) -> None:
    emitter = SyncEmitter(timeout=300, address=silent, workspace=WORKSPACE)
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(emitter.emit, "user.signup", SAMPLE) for _ in range(3)]
        while not threads():
            os.sched_yield()
        closing = pool.submit(emitter.close)
        closing.result(60)
        # One that started after the close has a connection of its own to wait for.
        while not all(one.done() for one in waiting):
            pool.submit(emitter.close).result(60)
    for one in waiting:
        with pytest.raises(NotAccepted, match="closed"):
            one.result()
    assert threads() == []


def test_a_server_that_says_nothing_is_given_up_in_time(silent: str) -> None:
    with SyncEmitter(timeout=0.3, address=silent, workspace=WORKSPACE) as emitter:
        for _ in range(2):
            with pytest.raises(NotAccepted, match=r"within 0\.3 s"):
                emitter.emit("user.signup", SAMPLE)
        assert len(threads()) == 1
    assert threads() == []


async def test_a_server_that_comes_back_is_found(stack: Stack) -> None:
    port = free_port()
    emitter = SyncEmitter(
        address=f"127.0.0.1:{port}", task_queue=stack.task_queue, workspace=stack.workspace
    )
    with pytest.raises(NotAccepted):
        await asyncio.to_thread(emitter.emit, "user.signup", SAMPLE)
    async with forwarding(port, stack.client.service_client.config.target_host):
        event = await asyncio.to_thread(emitter.emit, "user.signup", SAMPLE)
        await asyncio.to_thread(emitter.close)
    await stack.client.get_workflow_handle(event.id).result()


@asynccontextmanager
async def forwarding(port: int, to: str) -> AsyncIterator[None]:
    """What comes in at `port` goes to another server, and its answers come back."""
    host, _, other = to.rpartition(":")

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(host, int(other))
        await asyncio.gather(copy(reader, there[1]), copy(there[0], writer))

    async with await asyncio.start_server(forward, "127.0.0.1", port):
        yield


FORKS = """
import os, sys
from emitonce import SyncEmitter

emitter = SyncEmitter(task_queue=sys.argv[1], workspace=sys.argv[2])
print(emitter.emit("user.signup", {"userId": "parent"}), flush=True)
if (child := os.fork()) == 0:
    print(emitter.emit("user.signup", {"userId": "child"}), flush=True)
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print(emitter.emit("user.signup", {"userId": "parent"}), flush=True)
"""


async def test_a_process_forked_from_one_that_has_emitted_emits(
    stack: Stack, tmp_path: Path
) -> None:
    (tmp_path / "backend.py").write_text(FORKS)
    ran = await run(
        *(sys.executable, "backend.py", stack.task_queue, stack.workspace),
        cwd=tmp_path,
        TEMPORAL_ADDRESS=stack.client.service_client.config.target_host,
        PYTHONPATH=str(ROOT),
    )
    assert ran.code == 0, ran.out
    for event in ran.out.split():
        await stack.client.get_workflow_handle(event).result()
    assert len(ran.out.split()) == 3
