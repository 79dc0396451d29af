"""What a delivery meets in a simulated year: a vendor with moods, a catalog, workers that die."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random
from typing import Literal

from pydantic import SecretStr

from activities.connection_limiter import Answer, Try
from activities.rate_limit import Limits, Throttled
from catalog.errors import CatalogUnavailable, NotFound
from delivery.alert import Refusal
from delivery.credential import ConnectionCredential, Credential
from delivery.message import Message
from delivery.outcome import InactiveReason, Outcome
from destinations.http.errors import AnswerTimeout, ConnectionLost

KEY = SecretStr("a-key")
HOST = "customer.io"
YEAR = datetime(2026, 1, 1, tzinfo=UTC)

Mood = Literal["fair", "stormy", "away", "strict"]
MOODS: tuple[Mood, ...] = ("fair", "stormy", "away", "strict")
HOW_OFTEN = (80, 13, 1, 6)
FAILING = (408, 429, 429, 500, 502, 503, 503, 504, 522, 524)
REFUSING = (301, 307, 400, 404, 410, 413, 422)


class WorkerLost(BaseException):
    """The worker is killed here; nothing after this line is executed."""


class Clock:
    """The simulated moment."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def advance(self, by: timedelta) -> None:
        self.now += by


@dataclass
class Sent:
    """A request as the vendor got it; `answer` is None where the sender saw none."""

    call: str
    raw: bytes
    at: datetime
    held: bool
    answer: int | None = None
    retry_after: str | None = None

    @property
    def dated(self) -> bool:
        """Whether it was told a date to come back at, instead of seconds."""
        return "GMT" in (self.retry_after or "")


@dataclass(frozen=True)
class _Permit:
    random: Random
    connections: tuple[str, ...]

    def confirm(self, slowed_until: datetime | None) -> None:
        if self.random.random() < 0.02:
            raise Throttled(self.random.random() * 5)

    def learn(self, answer: Answer, asked: float | None) -> float | None:
        """None where others need not know."""
        if answer is Answer.REFUSED and self.random.random() < 0.5:
            return asked or 1.0
        return None


@dataclass
class Weather:
    """Everything that one delivery meets, decided by `random` alone.

    `paused` is when its connection takes no deliveries; `wrong_key` is when its key is refused:
    from its second moment on a new one is stored. `away_until`: the vendor answers nobody before.
    The workers' clocks are wrong by `skew`; the engine's is right.
    """

    random: Random
    clock: Clock
    mood: Mood
    deadly: float
    away_until: datetime
    paused: tuple[datetime, datetime] | None = None
    wrong_key: tuple[datetime, datetime] | None = None
    deleted_at: datetime | None = None
    skew: timedelta = timedelta()
    deactivated: bool = False
    sent: list[Sent] = field(default_factory=list)

    @classmethod
    def draw(cls, random: Random, clock: Clock) -> Weather:
        def span(chance: float, days: float) -> tuple[datetime, datetime] | None:
            if random.random() >= chance:
                return None
            begins = clock.now + timedelta(hours=random.expovariate(1) * random.choice((0, 1)))
            return begins, begins + timedelta(days=random.random() * days)

        [mood] = random.choices(MOODS, HOW_OFTEN)
        hours = random.random() * 100 if mood == "away" else 0
        return cls(
            random=random,
            clock=clock,
            mood=mood,
            deadly=random.choice((0, 0, 0, 0, 0, 0, 0, 0.05, 0.1, 0.2)),
            away_until=clock.now + timedelta(hours=hours),
            paused=span(0.02, 4),
            wrong_key=span(0.02, 4),
            deleted_at=clock.now + timedelta(hours=1) if random.random() < 0.01 else None,
            skew=timedelta(hours=random.uniform(-48, 48))
            if random.random() < 0.05
            else timedelta(),
        )

    def maybe_die(self) -> None:
        if self.random.random() < self.deadly:
            raise WorkerLost

    # What the catalog says.

    @property
    def version(self) -> int:
        return 2 if self.wrong_key and self.clock.now >= self.wrong_key[1] else 1

    @property
    def status(self) -> Literal["active", "paused", "inactive"]:
        now = self.clock.now
        if self.paused and self.paused[0] <= now < self.paused[1]:
            return "paused"
        if self.deactivated and self.wrong_key and now < self.wrong_key[1]:
            return "inactive"
        return "active"

    @property
    def comes_back_at(self) -> datetime:
        """When what holds the connection now ends."""
        ends = [self.clock.now]
        if self.status == "paused" and self.paused:
            ends.append(self.paused[1])
        if self.status == "inactive" and self.wrong_key:
            ends.append(self.wrong_key[1])
        return max(ends)

    async def credential(self, workspace: str, connection: str) -> ConnectionCredential:
        if self.random.random() < 0.01:
            raise CatalogUnavailable("simulated")
        if self.deleted_at and self.clock.now >= self.deleted_at:
            raise NotFound("connection", connection)
        status = self.status
        return ConnectionCredential(
            connection=connection,
            workspace=workspace,
            type="customer_io",
            settings={"region": "us"},
            status=status,
            inactive_reason="authentication_invalid" if status == "inactive" else None,
            secrets={"cdpApiKey": KEY},
            version=self.version,
        )

    async def deactivate(
        self,
        connection: str,
        *,
        version: int,
        reason: InactiveReason,
        refusal: Refusal | None = None,
    ) -> bool:
        if self.random.random() < 0.05:
            raise CatalogUnavailable("simulated")
        self.deactivated = self.deactivated or version == self.version
        return version == self.version

    async def slow_down(self, connection: str, seconds: float) -> None:
        if self.random.random() < 0.1:
            raise CatalogUnavailable("simulated")

    # What the rate limit says.

    @asynccontextmanager
    async def permit(self, connection: str, limits: Limits, one: Try) -> AsyncIterator[_Permit]:
        if self.random.random() < (0.02 if one.came_back else 0.05):
            raise Throttled(self.random.random() * 5, failing=self.random.random() < 0.2)
        yield _Permit(self.random, (connection,))

    # What the vendor says.

    async def send(self, message: Message, credential: Credential) -> Outcome:
        """One request, answered, lost or refused; the worker may die before it or after it."""
        self.maybe_die()
        request = Sent(message.call, message.encode(), self.clock.now, held=self.status != "active")
        self.sent.append(request)
        self.clock.advance(timedelta(seconds=self.random.random()))
        status = self._answer(message.call)
        self.maybe_die()
        if status is None:
            self.clock.advance(timedelta(seconds=9))
            raise self.random.choice((AnswerTimeout, ConnectionLost))(HOST)
        request.answer = status
        if status in (429, 503):
            request.retry_after = self._retry_after()
        body = "{}" * self.random.choice((1, 2_000))
        return Outcome.of_answer(status, excerpt=body, retry_after=request.retry_after)

    def _answer(self, call: str) -> int | None:
        now, chance = self.clock.now, self.random.random()
        if now < self.away_until:
            return None if chance < 0.5 else 503
        if self.wrong_key and self.wrong_key[0] <= now and self.version == 1:
            return self.random.choice((401, 403))
        if self.mood == "strict" and chance < 0.4:
            return self.random.choice(REFUSING)
        good = {"fair": 0.95, "stormy": 0.3}.get(self.mood, 0.8)
        if chance < good:
            return self.random.choice((200, 200, 200, 202, 204))
        return self.random.choice((None, None, *FAILING))

    def _retry_after(self) -> str | None:
        soon = self.clock.now + timedelta(seconds=self.random.randrange(120))
        return self.random.choice(
            (
                None,
                "0",
                "7",
                "1.5",
                "86400",
                "-3",
                "nan",
                "soon",
                "",
                format_datetime(soon, usegmt=True),
            )
        )
