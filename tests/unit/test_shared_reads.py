"""What open pages ask for is read once for all of them, however long that takes."""

from __future__ import annotations

import asyncio

import pytest

from starter.console import shared_reads
from starter.console.shared_reads import SharedReads


async def test_a_read_that_takes_long_is_waited_for_instead_of_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared_reads, "LASTS_SECONDS", 0.0)
    reads, begun, goes_on = SharedReads(), 0, asyncio.Event()

    async def read() -> int:
        nonlocal begun
        begun += 1
        await goes_on.wait()
        return begun

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await reads.read("list", read)
    waiting = asyncio.create_task(reads.read("list", read))
    goes_on.set()
    assert await waiting == 1
    assert await reads.read("list", read) == 2
