"""What goes wrong, one story at a time; each leaves its events to the oracle.

`size` scales how many events there are. Which process dies when is drawn from the world's seed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from activities.connection_limiter import FAILING
from delivery.result import Status
from destinations.customerio.simulator import Fault
from tests.chaos import hostile
from tests.chaos.doomed_worker import POINTS
from tests.chaos.fan_out import fan_out
from tests.chaos.older_code import before_last_change, check_out
from tests.chaos.round import Round
from tests.chaos.world import World, until
from tests.chaos.wrong_clock import WrongClock, furthest

Story = Callable[[World, Round, float], Awaitable[None]]


@dataclass(frozen=True)
class Scenario:
    """`small`: fit for every test run; the others need minutes."""

    name: str
    story: Story
    small: bool = False


def count(events: int, size: float) -> int:
    return max(3, round(events * size))


async def crash_points(world: World, round: Round, size: float) -> None:
    """Workers die at named points, each at a drawn passage; another takes up what they left."""
    # Answers with 503 lead by the points at the heartbeat.
    await world.misbehave(Fault(status=503), nth=list(range(1, 60, 3)))
    doomed = await asyncio.gather(
        *(
            world.doomed_worker(CHAOS_CRASH=f"{point}:{world.random.randint(1, 2)}")
            for point in POINTS
        )
    )
    while any(child.alive for child in doomed) and len(round.emitted) < 100:
        await round.emit(count(8, size))
        await asyncio.wait([asyncio.ensure_future(child.died()) for child in doomed], timeout=5)
    for point, child in zip(POINTS, doomed, strict=True):
        world.note(f"a worker {'did not die' if child.alive else 'died'} {point.replace('_', ' ')}")
        await child.kill()
    await world.worker()


async def killed_in_back_off(world: World, round: Round, size: float) -> None:
    await world.misbehave(Fault(status=503), times=count(8, size))
    worker = await world.worker()
    await round.emit(count(8, size))
    await round.received(count(8, size))
    await worker.kill()
    world.note("the worker was killed while deliveries waited for their next attempt")
    await world.worker()


async def stopped_under_load(world: World, round: Round, size: float) -> None:
    """A rolling restart: each worker is told to stop while requests are in flight."""
    await world.misbehave(Fault(delay=0.3))
    async with emitting(round, count(60, size)):
        old = await world.worker()
        for _ in range(3):
            new = await world.worker()
            await asyncio.sleep(world.random.uniform(0.5, 2))
            code = await old.terminate()
            world.note(f"a worker was told to stop, and ended with {code}")
            old = new


async def frozen(world: World, round: Round, size: float) -> None:
    """Stopped for longer than a try may last, then continued beside the one that took over."""
    sleeper = await world.worker()
    await world.misbehave(Fault(delay=1))
    async with emitting(round, count(20, size)):
        await round.received(1)
        sleeper.freeze()
        await world.worker()
        await asyncio.sleep(60 if size >= 1 else 35)
        sleeper.thaw()
        world.note("a worker stood still for a minute, then went on")


async def server_killed(world: World, round: Round, size: float) -> None:
    """Temporal is killed while it works, and comes back on the same file."""
    await world.worker()
    await world.worker()
    async with emitting(round, count(40, size), tries=10):
        for _ in range(2):
            await asyncio.sleep(world.random.uniform(1, 3))
            await asyncio.to_thread(world.server.kill)
            await asyncio.sleep(world.random.uniform(0.5, 3))
            await world.start_server()
            world.note("the Temporal server was killed and started again")


async def postgres_restarted(world: World, round: Round, size: float) -> None:
    """Every few seconds, told to and killed by turns."""
    await world.worker()
    async with emitting(round, count(40, size), tries=10):
        for number in range(4):
            await asyncio.sleep(world.random.uniform(0.5, 2))
            if number % 2:
                await world.kill_postgres()
            else:
                await world.postgres.stop()
            await asyncio.sleep(world.random.uniform(0.5, 2))
            await world.start_postgres()
            world.note(f"PostgreSQL was {'killed' if number % 2 else 'stopped'} and started again")


async def api_killed(world: World, round: Round, size: float) -> None:
    """Killed while it accepts; whoever emitted says everything again with the same keys."""
    await world.worker()
    async with emitting(round, count(60, size), tries=10):
        for _ in range(2):
            await asyncio.sleep(world.random.uniform(0.3, 1.5))
            if world.api is not None:
                await world.api.kill()
            world.note("the API was killed while it accepted")
            await world.start_api()
    await round.emit_again()


async def hostile_vendor(world: World, round: Round, size: float) -> None:
    """Every answer that no good vendor gives, on the first tries of both calls."""
    answers = list(hostile.ANSWERS.items())
    world.random.shuffle(answers)
    for number, (name, fault) in enumerate(answers, start=1):
        for path in ("identify", "track"):
            await world.misbehave(fault, path, nth=[number])
        world.note(f"the vendor answered: {name}")
    await world.worker()
    await round.emit(max(len(answers), count(15, size)))


async def refusing_vendor(world: World, round: Round, size: float) -> None:
    """A redirect to a private address and plain refusals: identify fails, track is never sent."""
    away = Fault(status=307, headers={"Location": "http://169.254.169.254/latest/meta-data/"})
    await world.misbehave(away, "identify", nth=[1])
    await world.misbehave(Fault(status=400, echo=True), "identify")
    await world.worker()
    await round.emit(count(6, size), expected=Status.FAILED)


async def herd(world: World, round: Round, size: float) -> None:
    """Many wait for a vendor that is away; then it is back for all of them."""
    waiting = int(os.environ.get("CHAOS_HERD", count(200, size)))
    away = 10 + waiting // 25  # seconds: longer than it takes until all of them wait
    await world.misbehave(Fault(status=503, headers={"Retry-After": str(away)}))
    await world.worker()
    await world.worker()
    await round.emit(waiting)

    async def all_wait() -> bool:
        # Once so many have failed, the others wait without a request of their own.
        return bool((await world.asked(""))["requests"] >= min(waiting, FAILING))

    await until(all_wait, within=240 + away, what=f"{waiting} events that wait")
    await world.behave()
    world.note(f"the vendor was away until {waiting} events waited")


async def dead_neighbor(world: World, round: Round, size: float) -> None:
    """One connection never answers; the other's deliveries continue all the while."""
    await world.misbehave(Fault(kind="stall"), region="us")
    await world.worker()
    await round.emit(count(60, size))
    await round.received(1)
    await round.emit(count(20, size), "healthy.event", healthy=True)
    await round.received(len(round.emitted) - count(60, size), "track", within=120)
    world.note("all healthy deliveries were made while the neighbor was dead")
    await world.behave()


async def full_disk(world: World, round: Round, size: float) -> None:
    """The engine's files may not grow for a while, as on a disk that is full."""
    await world.worker()
    async with emitting(round, count(30, size), tries=12):
        await asyncio.sleep(world.random.uniform(1, 2))
        files = world.directory.glob("temporal.db*")
        largest = max(path.stat().st_size for path in files)
        _, hard = resource.prlimit(world.server.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(world.server.pid, resource.RLIMIT_FSIZE, (largest, hard))
        await asyncio.sleep(4)
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(world.server.pid, resource.RLIMIT_FSIZE, (hard, hard))
        await asyncio.to_thread(world.server.kill)
        await world.start_server()
        world.note("the engine could write nothing for a while, and was started again")


async def deployed_and_rolled_back(world: World, round: Round, size: float) -> None:
    """Older code beside this one, then without it, then instead of it.

    Deliveries wait for their next attempt at each change, so that either code goes on with what
    the other one has begun.
    """
    commit = await asyncio.to_thread(before_last_change)
    directory = await asyncio.to_thread(check_out, commit, world.directory / "older")
    older = commit[:12]
    await world.misbehave(Fault(status=503), nth=list(range(1, 4 * count(20, size), 2)))
    async with emitting(round, count(40, size)):
        first = await world.worker(root=directory)
        await round.received(count(8, size))
        new = await world.worker()
        world.note(f"a worker of commit {older} worked beside one of this commit")
        await round.received(count(20, size))
        await first.kill()
        await round.received(count(30, size))
        await world.worker(root=directory)
        await new.kill()
        world.note(f"it was deployed, and rolled back to {older}")


async def clock_jumps(world: World, round: Round, size: float) -> None:
    """A worker's wall clock jumps by hours, forwards and back; later one that is right joins it."""
    clock = WrongClock(world.directory)
    others = [worker for worker in world.workers if worker.alive]
    await world.worker(**clock.env)
    for other in others:
        await other.terminate()

    async def jumped() -> bool:
        return max(furthest(world.logs / "worker.log")) > timedelta(hours=1)

    await world.misbehave(Fault(status=503), nth=list(range(1, 60, 3)))
    async with emitting(round, count(60, size)):
        for hours in (2, -2, 80, -80, 0):
            clock.jump(hours * 3600)
            world.note(f"a worker's clock jumped to {hours:+d} h beside the true time")
            await asyncio.sleep(world.random.uniform(1, 2))
        clock.jump(80 * 3600)
        # It works alone, and has answers with 503 to come back to: it will say something.
        await until(jumped, within=60, what="a line in the log with the wrong time")
        await world.worker()
        clock.jump(30 * 3600)


async def fanned_out(world: World, round: Round, size: float) -> None:
    """Each event goes to every type. Workers die, answers are lost, and one token is revoked."""
    async with fan_out(world, round) as fan:
        for type in fan.connections.keys() - {"webhook"}:
            await world.misbehave(Fault(status=503), nth=[2, 5, 9], type=type)
            await world.misbehave(Fault(kind="reset_after_store"), nth=[3, 7, 12], type=type)
        doomed = [
            await world.doomed_worker(
                CHAOS_CRASH=f"{point}:{world.random.randint(2, 6)}", **fan.env
            )
            for point in ("before_request", "after_request", "after_heartbeat")
        ]
        await fan.emit(count(20, size))
        await asyncio.wait([asyncio.ensure_future(child.died()) for child in doomed], timeout=60)
        died = sum(not child.alive for child in doomed)
        world.note(f"{died} workers died before, at and after requests to any of the vendors")
        for child in doomed:
            await child.kill()
        worker = await world.worker(**fan.env)
        await fan.accept()
        await fan.emit(count(10, size))
        await fan.all_held()
        async with fan.held():
            await worker.kill()
            await world.worker(**fan.env)
            await fan.emit(count(10, size))
            await fan.others_completed()
            await fan.all_held()
        world.note("a token was revoked, a worker killed, and all others delivered meanwhile")
        await fan.renew()


@asynccontextmanager
async def emitting(round: Round, events: int, *, tries: int = 4) -> AsyncIterator[None]:
    """Events come in while the block runs; its end waits for the last one."""
    task = asyncio.create_task(round.emit(events, tries=tries))
    try:
        yield
    finally:
        await task


SCENARIOS = (
    Scenario("crash-points", crash_points),
    Scenario("killed-in-back-off", killed_in_back_off, small=True),
    Scenario("hostile-vendor", hostile_vendor, small=True),
    Scenario("refusing-vendor", refusing_vendor, small=True),
    Scenario("stopped-under-load", stopped_under_load),
    Scenario("frozen", frozen),
    Scenario("server-killed", server_killed),
    Scenario("postgres-restarted", postgres_restarted),
    Scenario("api-killed", api_killed),
    Scenario("herd", herd),
    Scenario("dead-neighbor", dead_neighbor),
    Scenario("full-disk", full_disk),
    Scenario("deployed-and-rolled-back", deployed_and_rolled_back),
    Scenario("clock-jumps", clock_jumps),
    Scenario("fanned-out", fanned_out, small=True),
)
