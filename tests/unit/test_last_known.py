"""What was true when changes were last heard is used without the database, for so long."""

from __future__ import annotations

import asyncio

import pytest

from catalog.changes import EVERY_WORKSPACE
from catalog.errors import CatalogUnavailable, NotFound
from catalog.last_known import ASK_SECONDS, LastKnown
from tests.contract.catalog_samples import Announced

SECONDS = 600.0


class Database:
    """Holds one key; can be away, or say nothing until it is released."""

    def __init__(self) -> None:
        self.value: str | None = "owner"
        self.away = False
        self.says = asyncio.Event()
        self.says.set()
        self.asked = 0

    async def read(self, key: str) -> str:
        self.asked += 1
        await self.says.wait()
        if self.away:
            raise CatalogUnavailable("away")
        if self.value is None:
            raise NotFound("key", key)
        return self.value


class Outage:
    """A `LastKnown` over a database, on a clock of its own."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self.now = 0.0
        self.database = Database()
        self.changes = Announced()
        self.known = LastKnown(
            self.changes,
            self.database.read,
            capacity=2,
            seconds=seconds,
            clock=lambda: self.now,
        )

    async def get(self, key: str = "k") -> str:
        return await self.known.get("keys", key, unchecked=True)

    def lose(self) -> None:
        self.database.away = True
        self.changes.set_hearing(False)
        self.changes.announce(EVERY_WORKSPACE)

    def find_again(self) -> None:
        self.database.away = False
        self.changes.set_hearing(True)
        self.changes.announce(EVERY_WORKSPACE)


async def test_it_is_used_until_the_time_since_it_was_heard_is_over():
    outage = Outage()
    await outage.get()
    outage.now = 10_000  # unused for long, and true all the while
    outage.lose()
    outage.now += SECONDS - 1
    assert await outage.get() == "owner"
    assert outage.known.usable_for() == 1
    outage.now += 1
    assert outage.known.usable_for() == 0
    with pytest.raises(CatalogUnavailable):
        await outage.get()


async def test_whoever_must_be_sure_is_not_answered_without_the_database():
    outage = Outage()
    await outage.get()
    outage.lose()
    with pytest.raises(CatalogUnavailable):
        await outage.known.get("keys", "k")


async def test_zero_seconds_are_none():
    outage = Outage(seconds=0)
    await outage.get()
    outage.lose()
    with pytest.raises(CatalogUnavailable):
        await outage.get()


async def test_a_second_outage_does_not_make_the_time_longer_for_what_was_not_read_again():
    outage = Outage()
    await outage.get()
    outage.lose()
    outage.now += SECONDS / 2
    outage.database.says.clear()
    outage.find_again()
    outage.lose()
    outage.database.says.set()
    await outage.known.settled()
    outage.now += SECONDS / 2
    with pytest.raises(CatalogUnavailable):
        await outage.get()


async def test_the_database_is_asked_as_soon_as_it_answers_though_nothing_is_heard():
    outage = Outage()
    await outage.get()
    outage.lose()
    assert await outage.get() == "owner"
    outage.database.away, outage.database.value = False, None
    outage.now += ASK_SECONDS
    with pytest.raises(NotFound):
        await outage.get()
    outage.database.away = True
    with pytest.raises(CatalogUnavailable):  # it is known to have ended
        await outage.get()


async def test_of_many_callers_one_waits_for_a_database_that_does_not_answer():
    outage = Outage()
    await outage.get()
    outage.lose()
    assert await outage.get() == "owner"
    asked = outage.database.asked
    outage.now += ASK_SECONDS
    assert await asyncio.gather(*(outage.get() for _ in range(50))) == ["owner"] * 50
    assert outage.database.asked == asked + 1


async def test_a_change_that_can_not_be_read_again_ends_what_was_known():
    """It may be the very change that ended it."""
    outage = Outage()
    await outage.get()
    outage.database.away = True
    outage.changes.announce("keys")
    await outage.known.settled()
    with pytest.raises(CatalogUnavailable):
        await outage.get()


async def test_a_change_during_a_read_is_read_again():
    outage = Outage()
    outage.database.says.clear()
    reading = asyncio.create_task(outage.get())
    await asyncio.sleep(0)
    outage.changes.announce("keys")
    outage.database.says.set()
    await reading
    await outage.known.settled()
    outage.lose()
    assert await outage.get() == "owner"


async def test_what_nobody_has_used_for_long_is_not_read_again():
    outage = Outage()
    await outage.get()
    outage.now += SECONDS + 1
    outage.changes.announce("keys")
    await outage.known.settled()
    assert outage.database.asked == 1


async def test_the_least_recently_used_is_forgotten_first():
    outage = Outage()
    for key in ("a", "b", "a", "c"):
        await outage.get(key)
    outage.lose()
    assert await outage.get("a") == await outage.get("c") == "owner"
    with pytest.raises(CatalogUnavailable):
        await outage.get("b")


async def test_an_error_that_nobody_expected_does_not_end_reading_again(
    caplog: pytest.LogCaptureFixture,
):
    outage = Outage()
    await outage.get()
    says, outage.database.says = outage.database.says, None
    outage.changes.announce("keys")
    await outage.known.settled()
    assert "could not be read again" in caplog.text
    outage.database.says = says
    await outage.get()
    outage.changes.announce("keys")
    await outage.known.settled()
    outage.lose()
    assert await outage.get() == "owner"
