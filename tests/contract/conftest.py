from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from destinations.customerio.simulator import Simulator
from tests.chaos.older_code import check_out
from tests.contract.catalog_samples import Tenant, opened
from tests.contract.customerio_samples import Caller
from tests.contract.older_fleet import OlderWorker, mixed_fleet
from tests.upgrade.releases import FIRST_COMMIT


@pytest_asyncio.fixture
async def tenant(database: str) -> AsyncIterator[Tenant]:
    async with opened(database) as catalog:
        yield await Tenant.create(catalog)


@pytest_asyncio.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator() as simulator:
        yield simulator


@pytest_asyncio.fixture
async def caller(sim: Simulator) -> AsyncIterator[Caller]:
    async with httpx.AsyncClient(trust_env=False) as http:
        yield Caller(sim, http)


@pytest.fixture(scope="session")
def first_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return check_out(FIRST_COMMIT, tmp_path_factory.mktemp("first-release"))


@pytest_asyncio.fixture
async def mixed(
    postgres_dsn: str, first_code: Path
) -> AsyncIterator[tuple[OlderWorker, Tenant, str]]:
    async with mixed_fleet(postgres_dsn, first_code) as fleet:
        yield fleet
