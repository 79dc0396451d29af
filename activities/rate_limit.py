"""Keep every connection within its rate, and within its share of this worker's slots.

The rate applies to all workers together: each uses a share of it (`catalog.workers`). Eager
activities bypass Temporal's own rate limits, so the limit is applied where requests are made.
"""

from __future__ import annotations

import asyncio
import hmac
import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from pydantic import SecretStr

from activities.connection_limiter import (
    LONGEST_DELAY,
    SHORTEST_DELAY,
    Admitted,
    Answer,
    ConnectionLimiter,
    SentBack,
    Try,
)

# One connection occupies at most a fifth of a worker's slots, however slow its answers are.
PART_OF_SLOTS = 5

_MOST_LIMITERS = 10_000
# A pause of an account stops at most this many of its connections in other workers.
_MOST_STOPPED = 20
_JITTER = 0.2


class Throttled(Exception):
    """There is no permit now: free the slot and come back after `seconds`.

    `failing` says that the connection only fails and is probed, not that it is used to its limit.
    """

    def __init__(self, seconds: float, *, failing: bool = False) -> None:
        super().__init__(f"no permit within the next {seconds:.1f} s")
        self.seconds = seconds
        self.failing = failing


@dataclass(frozen=True)
class Limits:
    """What holds for a connection: requests per second, of each pace, and requests in flight.

    Nothing may be sent before `slowed_until`. Connections with the same `account` share a
    limiter.
    """

    per_second: int
    in_flight: int | None = None
    slowed_until: datetime | None = None
    account: SecretStr | None = None


@dataclass(frozen=True)
class Permit:
    """Permission to send one request when its moment has come.

    `connections` are those that share its limiter, as far as this worker has met them: its own,
    then the latest others.
    """

    limiter: ConnectionLimiter
    admitted: Admitted
    connections: tuple[str, ...]

    def confirm(self, slowed_until: datetime | None) -> None:
        """Check again, at the moment of sending, that nothing has been stopped meanwhile.

        Raises:
            Throttled: nothing may be sent now.
        """
        now = time.monotonic()
        _hear(self.limiter, now, slowed_until)
        if stopped := self.limiter.stopped(now, self.admitted):
            raise _throttled(stopped)

    def learn(self, answer: Answer, asked: float | None) -> float | None:
        """Note how the request was answered, and how many seconds the vendor asks to wait.

        Returns how long all workers must send nothing; None if they know or need not know.
        """
        return self.limiter.learn(time.monotonic(), self.admitted, answer, asked)


@dataclass
class _Limited:
    """A limiter and its connections, the latest last."""

    limiter: ConnectionLimiter
    connections: dict[str, None] = field(default_factory=dict)

    def add(self, connection: str) -> None:
        self.connections.pop(connection, None)
        self.connections[connection] = None
        if len(self.connections) > _MOST_STOPPED:
            del self.connections[next(iter(self.connections))]


# Brings forward the tries that wait for these connections, each once there is room for one more
# request. Stops if the callable says that there won't be any (False).
BringForward = Callable[[Sequence[str], Callable[[], Awaitable[bool]]], None]


class RateLimit:
    """Limits all connections of a worker with `slots` activity slots and its `share` of rates.

    When a connection that only failed works again, `bring_forward` what waits for it.
    """

    def __init__(
        self,
        *,
        slots: int,
        share: Callable[[], float],
        bring_forward: BringForward = lambda connections, room: None,
    ) -> None:
        self._places = max(slots // PART_OF_SLOTS, 1)
        self._share = share
        self._bring_forward = bring_forward
        # Accounts are identified by hashes made with this key of the process: no secret is kept.
        self._key = secrets.token_bytes(32)
        self._limited: dict[str, _Limited] = {}

    @asynccontextmanager
    async def permit(self, connection: str, limits: Limits, one: Try) -> AsyncIterator[Permit]:
        """Wait for a permit, some seconds at most.

        Raises:
            Throttled: there will be no permit so soon.
        """
        limited = self._of(connection, limits.account)
        limiter = limited.limiter
        now, share = time.monotonic(), self._share()
        limiter.per_second = limits.per_second * share
        if limits.in_flight is not None:
            limiter.places = min(self._places, max(int(limits.in_flight * share), 1))
        _hear(limiter, now, limits.slowed_until)
        answer = limiter.admit(now, one)
        if isinstance(answer, SentBack):
            raise _throttled(answer)
        try:
            if answer.starts_at > now:
                await asyncio.sleep(answer.starts_at - now)
            yield Permit(limiter, answer, tuple({connection: None} | limited.connections))
        finally:
            now = time.monotonic()
            limiter.release(now, answer)
            if limiter.works_again(now):
                room = partial(self._room, limiter, now + LONGEST_DELAY)
                self._bring_forward(tuple(limited.connections), room)

    async def _room(self, limiter: ConnectionLimiter, until: float) -> bool:
        """Wait until one more request could be sent; False if the connection only fails again.

        Also False after `until`, when everything that waited has come back by itself.
        """
        while not limiter.failing and (now := time.monotonic()) < until:
            if self._share() and limiter.has_room(now):
                return True
            await asyncio.sleep(SHORTEST_DELAY)
        return False

    def _of(self, connection: str, account: SecretStr | None) -> _Limited:
        name = connection
        if account is not None:
            name = hmac.digest(self._key, account.get_secret_value().encode(), "sha256").hex()
        limited = self._limited.get(name)
        if limited is None:
            if len(self._limited) >= _MOST_LIMITERS:
                self._forget_idle()
            limited = self._limited[name] = _Limited(ConnectionLimiter(self._places))
        limited.add(connection)
        return limited

    def _forget_idle(self) -> None:
        idle_since = time.monotonic() - LONGEST_DELAY
        for name, limited in list(self._limited.items()):
            if limited.limiter.in_use == 0 and limited.limiter.last_used < idle_since:
                del self._limited[name]


def _hear(limiter: ConnectionLimiter, now: float, slowed_until: datetime | None) -> None:
    if slowed_until is not None:
        limiter.wait_until(now, now + (slowed_until - datetime.now(UTC)).total_seconds())


def _throttled(answer: SentBack) -> Throttled:
    spread = spread_out(answer.seconds, random.random())  # noqa: S311  spreading, no secrets
    return Throttled(spread, failing=answer.failing)


def spread_out(seconds: float, random: float) -> float:
    """Vary the longest delay: otherwise all who got it would come back together."""
    if seconds < LONGEST_DELAY:
        return seconds
    return seconds * (1 - _JITTER * random)
