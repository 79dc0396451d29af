"""What runs in the background goes on after an error that nobody expected, and logs it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import cast

import pytest
from structlog.testing import capture_logs
from temporalio.client import Client
from temporalio.common import MetricMeter
from temporalio.service import RPCError, RPCStatusCode

from catalog import Catalog
from catalog.api_key_uses import APIKeyUses
from catalog.encryption.keys_in_use import KEYS_IN_USE
from catalog.worker_share import WorkerShare
from delivery.errors import Unavailable
from operations import key_watch
from operations.background import repeated
from operations.backlog import measured_backlog
from operations.key_watch import watched_keys
from tests.conftest import psql
from tests.contract.catalog_samples import opened
from tests.integration.stack import eventually
from tests.security.conftest import sealing_client


@pytest.fixture
async def catalog(database: str) -> AsyncIterator[Catalog]:
    async with opened(database) as catalog:
        yield catalog


@asynccontextmanager
async def table_missing(database: str, name: str) -> AsyncIterator[None]:
    """No outage: an error of a kind that is nowhere foreseen."""
    async with psql(database) as writer:
        await writer.execute(f"ALTER TABLE {name} RENAME TO elsewhere")
        yield
        await writer.execute(f"ALTER TABLE elsewhere RENAME TO {name}")


def logged(caplog: pytest.LogCaptureFixture, text: str) -> Callable[[], Awaitable[bool]]:
    """Whether an error was logged with this text, and where it came from."""

    async def found() -> bool:
        return any(
            record.levelno >= logging.ERROR and record.exc_info and text in record.getMessage()
            for record in caplog.records
        )

    return found


async def test_a_workers_share_is_kept_up(
    catalog: Catalog, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with WorkerShare(catalog.workers, beat_seconds=0.02).kept() as share:
        async with table_missing(database, "workers"):
            await eventually(logged(caplog, "share of the rates"))
        async with psql(database) as reader:
            before = await reader.fetchval("SELECT seen_at FROM workers WHERE id = $1", share.id)

            async def beats_again() -> bool:
                now = await reader.fetchval("SELECT seen_at FROM workers WHERE id = $1", share.id)
                return bool(now > before)

            await eventually(beats_again)


async def test_a_process_keeps_reporting_its_keys(
    catalog: Catalog,
    temporal: Client,
    database: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(key_watch, "BEAT_SECONDS", 3_600.0)  # so it is the announcement that counts
    client = await sealing_client(temporal, {"p1": b"2" * 32})
    async with watched_keys(client, catalog, "nobodys-queue", role="api"):
        async with table_missing(database, "key_holders"):
            catalog.changes.announce(KEYS_IN_USE)
            await eventually(logged(caplog, "which keys are in use"))
        async with psql(database) as writer:
            await writer.execute("DELETE FROM key_holders")
        catalog.changes.announce(KEYS_IN_USE)

        async def reported_again() -> bool:
            return [holder.role for holder in await catalog.keys_in_use.holders()] == ["api"]

        await eventually(reported_again)


async def test_the_next_use_of_a_key_is_noted(
    catalog: Catalog, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    organization = (await catalog.organizations.default()).id
    made = await catalog.machine_keys.create(organization, name="ci", created_by="test")
    uses = APIKeyUses(catalog.pool, again_seconds=0)
    async with table_missing(database, "machine_key_uses"):
        uses.note(made.key.id)
        await uses.written()
    assert await logged(caplog, "could not be recorded")()
    uses.note(made.key.id)
    await uses.written()
    [key] = await catalog.machine_keys.list(organization)
    assert key.last_used_at is not None


class Gauges:
    """A meter of gauges, which fails once; keeps what was set since."""

    def __init__(self) -> None:
        self.failed = False
        self.values: dict[str, float] = {}

    def create_gauge(self, name: str, description: str) -> Gauge:
        return Gauge(self, name)

    create_gauge_float = create_gauge


class Gauge:
    def __init__(self, gauges: Gauges, name: str) -> None:
        self._gauges = gauges
        self._name = name

    def set(self, value: float, labels: dict[str, str]) -> None:
        if not self._gauges.failed:
            self._gauges.failed = True
            raise LookupError("not foreseen")
        self._gauges.values[self._name] = value


async def test_the_backlog_is_measured_again(temporal: Client) -> None:
    gauges = Gauges()

    async def measured() -> bool:
        return len(gauges.values) == 3

    with capture_logs() as lines:
        meter = cast(MetricMeter, gauges)
        async with measured_backlog(temporal, "nobodys-queue", meter, every_seconds=0.02):
            await eventually(measured)
    assert [line["log_level"] for line in lines] == ["error"]


async def test_an_outage_is_logged_without_a_traceback() -> None:
    errors = [
        Unavailable("no database"),
        RPCError("no server", RPCStatusCode.UNAVAILABLE, b""),
    ]
    works = asyncio.Event()

    async def work() -> None:
        if errors:
            raise errors.pop(0)
        works.set()

    with capture_logs() as lines:
        async with repeated(work, every_seconds=0, name="work", failing="it can't be done"):
            await asyncio.wait_for(works.wait(), 10)
    warning = {"event": "it can't be done", "log_level": "warning"}
    assert lines == [warning | {"reason": "no database"}, warning | {"reason": "no server"}]
