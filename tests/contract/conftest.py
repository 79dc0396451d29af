from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest_asyncio

from destinations.customerio.simulator import Simulator
from tests.contract.customerio_samples import Caller


@pytest_asyncio.fixture
async def sim() -> AsyncIterator[Simulator]:
    simulator = await Simulator.start()
    yield simulator
    await simulator.stop()


@pytest_asyncio.fixture
async def caller(sim: Simulator) -> AsyncIterator[Caller]:
    async with httpx.AsyncClient(trust_env=False) as http:
        yield Caller(sim, http)
