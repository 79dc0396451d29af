"""A fleet is upgraded from the first release, rolled back once, and upgraded for good.

Each stage has a batch of events of its own, which come in all the while; most of them are still
under way when it ends, so that each release goes on with what the others began.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from destinations.registry import this_release
from eventlog.fetch import describe_event, fetch_run
from eventlog.history import read_history
from tests.chaos.oracle import Emitted
from tests.chaos.round import Round
from tests.chaos.world import World, until
from tests.operations.alert_receiver import Receiver
from tests.upgrade.fleet import Fleet
from tests.upgrade.kinds import Kind, batch, count_by_state
from tests.upgrade.management import Management
from tests.upgrade.releases import Release
from tests.upgrade.vendor import Vendor

STAGES = 5
STAGE_SECONDS = 25.0
REPEATED = 5
INACTIVE, RECOVERED = "connection.inactive", "connection.recovered"
WORKERS = 2


@dataclass(frozen=True)
class Switch:
    """The fleet as it is from `at` on, in seconds from the beginning; `events` by state."""

    at: float
    what: str
    workers: dict[str, int]
    api: str
    events: dict[str, int]


@dataclass
class Story:
    """`events` in all, a batch of them in `stage_seconds`.

    What must not have happened is added to `broken`.
    """

    world: World
    round: Round
    vendor: Vendor
    management: Management
    fleet: Fleet
    alerts: Receiver
    events: int
    stage_seconds: float
    began: float = field(default_factory=time.monotonic)
    switches: list[Switch] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    refused: str | None = None

    async def replaced(
        self, old: Release, new: Release, *, workers: int = WORKERS, migrating: bool = True
    ) -> None:
        """A stage: so many workers of the old release, and its API, make way for the new one."""
        way = f"{old.name} → {new.name}"
        async with self._stage():
            if migrating:
                await self.world.migrate(root=new.root)
            await self._switch(f"{way}: begins")
            await self.fleet.replace(old, new)
            async with self.world.replacing_api(root=new.root):
                self.fleet.api = new
                await self._switch(f"{way}: one worker and the API replaced")
                await self.round.emit_again(REPEATED)
                await self._operate()
            for _ in range(workers - 1):
                await self.fleet.replace(old, new)
        await self._switch(f"{way}: done")
        await self._delivered(await self.round.emit(1, Kind.STEADY, tries=10))

    async def alone(self, newest: Release, older: Release) -> None:
        """The last stage: only this release is left, and there is no way back."""
        await until(self._uses_the_newest_build, within=60, what="a run by the newest build")
        async with self._stage():
            await self._operate()
        await self._hold_one_that_was_sent()
        await self._switch(f"{newest.name} alone")
        self.refused = await self.fleet.refuses(older)
        if self.refused is None:
            self.broken.append(f"a worker of {older.name} came back, and was admitted")
            await self.fleet.leave_to(older)
        elif "release doesn't know" not in self.refused:
            self.broken.append(f"a worker of {older.name} came back, and said: {self.refused}")

    async def finished(self) -> None:
        """The troubles end; what has failed is delivered again."""
        await self.vendor.trouble()
        await self.management.replace_key(Kind.LOCKED, await self.vendor.new_key(Kind.LOCKED))
        await self.management.resume(Kind.HELD)
        await self.round.settled()
        while (redelivery := await self.management.redeliver()) is not None:
            await self.management.redelivered(redelivery)
            await self.round.settled()

    async def builds(self, emitted: Sequence[Emitted]) -> Counter[int]:
        """How many of these events' runs were recorded with which builder."""
        found: Counter[int] = Counter()
        for one in emitted:
            described = await describe_event(self.world.client, one.ids[0])
            facts = read_history(*await fetch_run(self.world.client, described))
            found.update(rule.build for rule in (facts.matched.rules if facts.matched else ()))
        return found

    @asynccontextmanager
    async def _stage(self) -> AsyncIterator[None]:
        """While the block runs a batch comes in.

        It begins when a third is there, and the operator knows of the key that is refused. While
        older workers are left, it ends when the operator knows that the connection is back: their
        looks compare ids only, and would miss that the next stage's key is refused before that.
        """
        told, before = len(self.alerts.of(INACTIVE)), len(self.round.emitted)
        returned = len(self.alerts.of(RECOVERED))
        await self.management.pause(Kind.HELD)
        await self.vendor.new_key(Kind.LOCKED)  # which nobody has told us yet
        await self.vendor.trouble(*Kind)
        task = asyncio.create_task(self._emit())

        async def a_third() -> bool:
            come = len(self.round.emitted) - before
            return task.done() or come >= self.events // STAGES // 3

        async def alerted() -> bool:
            return len(self.alerts.of(INACTIVE)) > told

        async def recovered() -> bool:
            return len(self.alerts.of(RECOVERED)) > returned

        try:
            await until(a_third, within=60, what="a third of a batch")
            await until(alerted, within=120, what=f"an alert by {self.fleet.releases}")
            yield
        finally:
            await task
        if self.fleet.has_older:
            await until(recovered, within=60, what=f"a recovery told by {self.fleet.releases}")

    async def _emit(self) -> None:
        kinds = batch(self.events // STAGES, self.world.random)
        for kind in kinds:
            await self.round.emit(1, kind, tries=10, redelivered=kind is Kind.FAILING)
            await asyncio.sleep(self.stage_seconds / len(kinds))

    async def _operate(self) -> None:
        """A key is replaced, a connection resumed and paused, a redelivery begun."""
        await self.vendor.trouble(Kind.RETRYING, Kind.BETWEEN)
        await self.management.replace_key(Kind.LOCKED, self.vendor.key(Kind.LOCKED))
        await self.management.redeliver()
        await self.management.resume(Kind.HELD)
        await self.management.pause(Kind.HELD)

    async def _switch(self, what: str) -> None:
        states = count_by_state((await self.round.logs()).values())
        at = round(time.monotonic() - self.began, 1)
        self.switches.append(Switch(at, what, self.fleet.releases, self.fleet.api.name, states))
        print(f"{at:6.1f} s  {what:<60} {states}", flush=True)

    async def _delivered(self, emitted: Sequence[Emitted]) -> None:
        """Wait for it, by the workers there are."""
        people = {one.person for one in emitted}

        async def delivered() -> bool:
            requests = await self.round.requests()
            return people <= {one.person for one in requests if one.call == "track"}

        await until(delivered, within=90, what=f"a delivery by {self.fleet.releases}")

    async def _hold_one_that_was_sent(self) -> None:
        """Its next attempt is built anew, by whichever release goes on with it."""
        await self.vendor.new_key(Kind.LOCKED)
        [refused] = await self.round.emit(1, Kind.LOCKED, tries=10)

        async def held() -> bool:
            log = (await self.round.logs())[refused.ids[0]]
            return any(delivery.held and delivery.attempt_count for delivery in log.deliveries)

        await until(held, within=60, what="a held delivery")

    async def _uses_the_newest_build(self) -> bool:
        emitted = await self.round.emit(1, Kind.STEADY)
        await self._delivered(emitted)
        return set(await self.builds(emitted)) == {this_release().newest_build}

    async def used_only(self, build: int) -> None:
        """Of all events until now."""
        if set(found := await self.builds(self.round.emitted)) != {build}:
            self.broken.append(f"with {self.fleet.releases} the builds used are {dict(found)}")
