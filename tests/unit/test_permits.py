"""A request gets a permit of its connection, of which those of one account share the limits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from activities.connection_limiter import FAILING, Answer, Try
from activities.rate_limit import Limits, RateLimit, Throttled

NEW = Try("an event")
BACK = Try("an event", came_back=True)


@pytest.mark.parametrize("told_by", ["an answer here", "another worker"])
async def test_a_permit_that_is_waited_for_is_refused_when_all_are_stopped_meanwhile(told_by):
    rate_limit, limits = RateLimit(slots=100, share=lambda: 1.0), Limits(per_second=2)
    async with rate_limit.permit("a connection", limits, NEW) as first:

        async def waiting() -> None:
            async with rate_limit.permit("a connection", limits, NEW) as permit:
                permit.confirm(slowed_until)

        slowed_until = None
        task = asyncio.create_task(waiting())
        await asyncio.sleep(0)
        if told_by == "another worker":
            slowed_until = datetime.now(UTC) + timedelta(seconds=30)
        else:
            assert first.learn(Answer.REFUSED, 30.0) == 30
    with pytest.raises(Throttled) as refused:
        await task
    assert refused.value.seconds > 28


async def test_a_destination_s_requests_in_flight_are_shared_among_workers():
    rate_limit = RateLimit(slots=100, share=lambda: 0.5)
    limits = Limits(per_second=100, in_flight=4)
    async with (
        rate_limit.permit("a connection", limits, NEW),
        rate_limit.permit("a connection", limits, NEW),
    ):
        with pytest.raises(Throttled):
            async with rate_limit.permit("a connection", limits, NEW):
                pass


async def test_connections_of_one_account_share_its_limits_and_its_pauses():
    rate_limit = RateLimit(slots=100, share=lambda: 1.0)
    key = SecretStr("key-of-both")
    shared = Limits(per_second=100, in_flight=2, account=key)
    async with (
        rate_limit.permit("one", shared, NEW),
        rate_limit.permit("another", shared, NEW) as permit,
    ):
        assert permit.connections == ("another", "one")
        with pytest.raises(Throttled):
            async with rate_limit.permit("a third", shared, NEW):
                pass
        for account in (SecretStr("another key"), None):
            other = Limits(per_second=100, in_flight=2, account=account)
            async with rate_limit.permit("elsewhere", other, NEW) as apart:
                assert apart.connections == ("elsewhere",)
        assert permit.learn(Answer.REFUSED, 30.0) == 30
    with pytest.raises(Throttled) as refused:
        async with rate_limit.permit("one", shared, NEW):
            pass
    assert refused.value.seconds > 28


def test_an_account_is_known_by_nothing_that_says_its_secret_or_holds_in_another_process():
    def names(rate_limit: RateLimit) -> set[str]:
        rate_limit._of("a connection", SecretStr("key-of-both"))
        return set(rate_limit._limited)

    first, second = (RateLimit(slots=100, share=lambda: 1.0) for _ in range(2))
    assert names(first) == names(first)
    assert not names(first) & names(second)
    assert "key-of-both" not in repr(vars(first))
    assert "key-of-both" not in repr(Limits(1, account=SecretStr("key-of-both")))


async def test_an_account_with_many_connections_tells_the_latest_of_a_pause():
    rate_limit = RateLimit(slots=100, share=lambda: 1.0)
    shared = Limits(per_second=100, account=SecretStr("key-of-all"))
    for number in range(100):
        async with rate_limit.permit(str(number), shared, Try("an event", test=True)) as permit:
            pass
    assert permit.connections == ("99", *map(str, range(80, 99)))


class Recovery:
    """Plays a connection that only fails while tries wait for it, and then works again."""

    def __init__(self) -> None:
        self.share = 1.0
        self.asked: list[tuple[Sequence[str], Callable[[], Awaitable[bool]]]] = []
        self._rate_limit = RateLimit(
            slots=100,
            share=lambda: self.share,
            bring_forward=lambda *asking: self.asked.append(asking),
        )

    async def answer(self, one: Try, answer: Answer) -> None:
        limits = Limits(per_second=900)
        async with self._rate_limit.permit("a connection", limits, one) as permit:
            permit.learn(answer, None)

    async def only_fail(self) -> None:
        for number in range(FAILING):
            await self.answer(Try(str(number)), Answer.FAILED)

    async def room(self) -> Callable[[], Awaitable[bool]]:
        await self.only_fail()
        for _ in range(50):
            with pytest.raises(Throttled):
                await self.answer(BACK, Answer.ACCEPTED)
        assert not self.asked
        await self.answer(Try("a test event", test=True), Answer.ACCEPTED)
        [(connections, room)] = self.asked
        assert connections == ("a connection",)
        return room


async def test_bringing_forward_ends_when_the_connection_only_fails_again():
    recovery = Recovery()
    room = await recovery.room()
    assert await room()
    await recovery.only_fail()
    assert not await room()


async def test_bringing_forward_ends_when_all_that_waited_has_come_back_by_itself(monkeypatch):
    monkeypatch.setattr("activities.rate_limit.LONGEST_DELAY", 0.0)
    room = await Recovery().room()
    assert not await room()


async def test_nothing_is_brought_forward_while_the_worker_has_no_share():
    recovery = Recovery()
    room = await recovery.room()
    recovery.share = 0.0
    waits = asyncio.ensure_future(room())
    await asyncio.sleep(0)
    assert not waits.done()
    recovery.share = 1.0
    assert await waits
