"""Run scenarios in one world and hold each round against the oracle."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

from delivery.attempt import UNREPORTED
from tests.chaos.latency import p95
from tests.chaos.oracle import Facts, check
from tests.chaos.round import round_of
from tests.chaos.scenarios import Scenario
from tests.chaos.world import World, open_world


@dataclass
class Outcome:
    """One scenario's line in the report. `lost`: accepted, and not delivered as it should be."""

    name: str
    seconds: float = 0.0
    events: int = 0
    requests: int = 0
    attempts: int = 0
    workers_lost: int = 0
    lost: int = 0
    healthy_p95_seconds: float | None = None
    happened: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def take(self, facts: Facts) -> None:
        self.broken += [str(fault) for fault in check(facts)]
        self.events = len(facts.emitted)
        self.requests = len(facts.received)
        calls = [
            call
            for log in facts.logs.values()
            for delivery in log.deliveries
            for call in delivery.calls
        ]
        self.attempts = sum(call.attempt_count for call in calls)
        self.workers_lost = sum(
            attempt.message == UNREPORTED for call in calls for attempt in call.attempts
        )
        self.lost = sum(
            bool(one.ids) and getattr(facts.logs.get(one.ids[0]), "status", None) != one.expected
            for one in facts.emitted
        )
        self.healthy_p95_seconds = round(p95(facts.took), 2) if facts.took else None

    def as_json(self) -> dict[str, object]:
        return asdict(self)


async def run(
    scenarios: Sequence[Scenario], *, seed: int, size: float, until: float = float("inf")
) -> list[Outcome]:
    """`until`: no scenario begins after this moment of the monotonic clock."""
    directory = Path(tempfile.mkdtemp(prefix="emitonce-chaos-"))
    outcomes = []
    async with open_world(directory, Random(seed)) as world:
        for scenario in scenarios:
            if time.monotonic() > until:
                break
            outcomes.append(await live_through(world, scenario, size))
    if not any(outcome.broken for outcome in outcomes):
        shutil.rmtree(directory, ignore_errors=True)  # else its logs are worth reading
    return outcomes


async def live_through(world: World, scenario: Scenario, size: float) -> Outcome:
    outcome, began = Outcome(scenario.name), time.monotonic()
    world.notes = outcome.happened
    async with round_of(world, scenario.name) as round:
        try:
            await scenario.story(world, round, size)
            await round.settled()
        except (AssertionError, TimeoutError) as err:
            outcome.broken.append(f"the story could not be told: {err!r}")
        outcome.take(await round.facts())
    outcome.seconds = _seconds(began)
    _tell(outcome)
    return outcome


def _tell(outcome: Outcome) -> None:
    print(
        f"{outcome.name:<20} {outcome.seconds:6.1f} s  {outcome.events:4} events  "
        f"{outcome.requests:5} requests  {outcome.attempts:5} attempts  "
        f"{outcome.workers_lost:3} lost with their worker  {len(outcome.broken)} broken",
        flush=True,
    )
    for what in outcome.broken:
        print(f"    {what}", flush=True)


def _seconds(began: float) -> float:
    return round(time.monotonic() - began, 1)
