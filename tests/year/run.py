"""Live through many deliveries of a simulated year and hold each against the oracle."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

from delivery.event import Event, read_event
from delivery.outcome import DELIVERY_DEADLINE
from delivery.rule import MatchedRule, RuleMetadata
from destinations.registry import this_release
from tests.year.engine import Engine, Stage, staged
from tests.year.oracle import Facts, faults
from tests.year.weather import YEAR, Clock, Weather
from workflows.delivery import Delivery
from workflows.holds import Holds

WORKSPACE = "0b2f4c3e-6a5d-4f0e-9a55-8d0c7d3f0001"
RULES = tuple(
    MatchedRule(
        id=f"7d3c1a52-90b4-4a53-8f05-3d5f8a6b000{number}",
        connection=f"c1a2b3c4-d5e6-4f70-8a9b-0c1d2e3f000{number}",
        connection_name="Production",
        integration_type="customer_io",
        metadata=RuleMetadata(action="track_event"),
        build=this_release().newest_build,
    )
    for number in range(3)
)


@dataclass
class Year:
    """What came of it. `broken` names seed and number of the first that break something."""

    deliveries: int = 0
    requests: int = 0
    attempts: int = 0
    holds: int = 0
    lost: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def add(self, seed: int, number: int, facts: Facts) -> None:
        self.deliveries += 1
        self.requests += len(facts.sent)
        self.ended[str(facts.result.status)] += 1
        for scheduling in facts.schedulings:
            self.attempts += sum(one.made for one in scheduling.tries)
            self.lost += sum(one.ended == "lost" for one in scheduling.tries)
            self.holds += scheduling.tries[-1].ended == "ConnectionHeld"
        for fault in faults(facts):
            if len(self.broken) < 20:
                self.broken.append(f"{fault} (seed {seed}, delivery {number})")

    @property
    def summary(self) -> str:
        ends = ", ".join(f"{count:,} {end}" for end, count in sorted(self.ended.items()))
        return (
            f"{self.deliveries:,} deliveries: {ends}; {self.requests:,} requests, "
            f"{self.attempts:,} attempts, {self.lost:,} lost with their worker, "
            f"{self.holds:,} holds"
        )


def live(deliveries: int, *, seed: int, first: int = 0) -> Year:
    """Each delivery has a seed of its own, so that one alone can be lived through again."""
    year = Year()
    with staged() as stage:
        for number in range(first, first + deliveries):
            year.add(seed, number, deliver(stage, Random(f"{seed}/{number}")))
    return year


def deliver(stage: Stage, random: Random) -> Facts:
    clock = Clock(YEAR + timedelta(seconds=random.random() * 365 * 86_400))
    accepted_at, deadline = clock.now, clock.now + DELIVERY_DEADLINE
    weather = Weather.draw(random, clock)
    connections = Holds(on_change=lambda held: None)
    stage.engine = Engine(weather, connections)
    rule = random.choice(RULES)
    delivery = Delivery(_event(random, clock), rule, deadline, connections)
    running = delivery._run()
    try:
        # The engine's part never waits for anything real, so this runs to the end at once.
        running.send(None)
    except StopIteration as ended:
        return Facts(
            accepted_at=accepted_at,
            deadline=deadline,
            ended_at=clock.now,
            sent=weather.sent,
            schedulings=stage.engine.schedulings,
            result=ended.value,
            deleted=weather.deleted_at is not None and clock.now >= weather.deleted_at,
            skewed=bool(weather.skew),
        )
    raise AssertionError("a delivery waited for something that the stage does not have")


def _event(random: Random, clock: Clock) -> Event:
    return read_event(
        {
            "workspace": WORKSPACE,
            "event": random.choice(("user.signup", "order.paid", "page.viewed")),
            "payload": _payload(random),
        },
        event_id=str(UUID(int=random.getrandbits(128), version=4)),
        started_at=clock.now,
    )


def _payload(random: Random) -> dict[str, Any]:
    people: tuple[dict[str, Any], ...] = (
        {"userId": f"usr_{random.randrange(10_000)}", "email": "test@example.com", "plan": "pro"},
        {"email": "test@example.com", "anonymousId": "a-1"},
        {"anonymousId": "a-2", "cart": {"lines": [1, 2]}},
        {"plan": "free"},
        {"userId": {"not": "an id"}},
    )
    return random.choices(people, weights=(60, 15, 12, 12, 1))[0]
