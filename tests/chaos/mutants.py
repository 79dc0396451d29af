"""Broken code, in real processes: for each invariant one that the oracle has to find out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from destinations.customerio.simulator import Fault
from tests.chaos.fan_out import fan_out
from tests.chaos.oracle import check
from tests.chaos.round import Round, round_of
from tests.chaos.world import World

Story = Callable[[World, Round], Awaitable[None]]


async def some_events(world: World, round: Round) -> None:
    await round.emit(3)


async def refused(world: World, round: Round) -> None:
    await world.misbehave(Fault(status=400), "identify")
    await round.emit(3)


async def failing_once(world: World, round: Round) -> None:
    await world.misbehave(Fault(status=503), times=3)
    await round.emit(3)


async def emitted_twice(world: World, round: Round) -> None:
    await round.emit(3)
    await round.emit_again()


async def beside_a_dead_one(world: World, round: Round) -> None:
    await world.misbehave(Fault(kind="stall"), region="us")
    await round.emit(60)
    await round.received(8)
    await round.emit(6, "healthy.event", healthy=True)
    await round.received(6, "track", within=180)
    await world.behave()


async def repeated_everywhere(world: World, round: Round) -> None:
    async with fan_out(world, round) as fan:
        await world.doomed_worker(CHAOS_MUTANT="I10", **fan.env)
        await fan.emit(3)


async def refused_token(world: World, round: Round) -> None:
    async with fan_out(world, round) as fan:
        await world.doomed_worker(CHAOS_MUTANT="I11", **fan.env)
        await fan.accept()
        await fan.emit(3)
        await fan.others_completed()
        async with fan.held():
            await fan.emit(3)
            await fan.others_completed()
        await fan.renew()


STORIES: dict[str, Story] = {
    "I1": some_events,
    "I2": some_events,
    "I3": refused,
    "I4": failing_once,
    "I5": some_events,
    "I6": emitted_twice,
    "I7": some_events,
    "I8": some_events,
    "I9": beside_a_dead_one,
    "I10": repeated_everywhere,
    "I11": refused_token,
}


OWN_WORKER = ("I10", "I11")


async def broken_by(world: World, invariant: str) -> set[str]:
    """The invariants that the oracle names when the mutant of `invariant` works."""
    async with round_of(world, f"mutant-{invariant}") as round:
        if invariant == "I6":
            await _replace_api(world, "tests.chaos.forgetful_api")
            await world.worker()
        elif invariant not in OWN_WORKER:
            await world.doomed_worker(CHAOS_MUTANT=invariant, EMITONCE_MAX_ACTIVITIES="10")
        await STORIES[invariant](world, round)
        await round.settled(within=5 if invariant == "I8" else 120)
        found = {fault.invariant for fault in check(await round.facts())}
        if invariant == "I6":
            await _replace_api(world)
        for one in round.emitted if invariant == "I8" else ():
            await world.client.get_workflow_handle(one.ids[0]).terminate()
    return found


async def _replace_api(world: World, *module: str) -> None:
    if world.api is not None:
        await world.api.kill()
    await world.start_api(*module)
