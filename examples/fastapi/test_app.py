"""The outbox, tested without emitonce: `async_fake_emitter` comes with the package."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import aiosqlite
import app
import pytest

from emitonce import InvalidSetup, NotAccepted
from emitonce.testing import AsyncFakeEmitter

Database = aiosqlite.Connection


def with_database(test: Callable[[Database], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        async with aiosqlite.connect(":memory:") as database:
            await database.executescript(app.SCHEMA)
            app.app.state.database, app.app.state.news = database, asyncio.Event()
            await test(database)

    asyncio.run(run())


async def kept(database: Database) -> list[str | None]:
    """Why each row that is left was refused; None for one that waits."""
    rows = await database.execute_fetchall("SELECT refused FROM outbox ORDER BY rowid")
    return [reason for (reason,) in rows]


def test_an_order_is_announced_once(async_fake_emitter: AsyncFakeEmitter) -> None:
    async def test(database: Database) -> None:
        order = await app.create_order("usr_2048")
        await app.send_outbox(database, async_fake_emitter)
        await app.send_outbox(database, async_fake_emitter)
        [event] = async_fake_emitter.events
        assert event.payload == {"userId": "usr_2048", "order": order["order"]}
        assert await kept(database) == []

    with_database(test)


@pytest.mark.parametrize("error", [NotAccepted("unavailable"), InvalidSetup("a redirect")])
def test_what_is_not_the_event_s_fault_keeps_every_row(
    async_fake_emitter: AsyncFakeEmitter, error: Exception
) -> None:
    async def test(database: Database) -> None:
        for number in range(3):
            await app.create_order(f"usr_{number}")
        async_fake_emitter.fail(error)
        await app.send_outbox(database, async_fake_emitter)
        assert await kept(database) == [None, None, None]
        async_fake_emitter.recover()
        await app.send_outbox(database, async_fake_emitter)
        assert await kept(database) == []
        assert len(async_fake_emitter.events) == 3

    with_database(test)


def test_an_event_that_is_refused_is_no_obstacle_for_the_others(
    async_fake_emitter: AsyncFakeEmitter,
) -> None:
    async def test(database: Database) -> None:
        await database.execute("INSERT INTO outbox VALUES ('1', ' ', '{}', NULL)")
        await app.create_order("usr_2")
        await app.send_outbox(database, async_fake_emitter)
        [reason] = await kept(database)
        assert reason == "event: must not be blank"
        assert len(async_fake_emitter.events) == 1

    with_database(test)
