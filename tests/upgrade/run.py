"""One upgrade from the first release to this one, on real processes, and what it came to."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from tests.chaos.round import Round, failed_tasks
from tests.chaos.run import Outcome
from tests.chaos.world import World, open_world
from tests.operations.alert_receiver import SECRET, Receiver, open_receiver
from tests.upgrade.fleet import Fleet
from tests.upgrade.management import Management
from tests.upgrade.releases import Release, lay_out
from tests.upgrade.story import STAGE_SECONDS, WORKERS, Story
from tests.upgrade.vendor import Vendor

NAME = "upgrade"
Releases = tuple[Release, Release, Release]


@dataclass(frozen=True)
class Upgrade:
    """`different_bytes`: calls that were sent with more than one body under one messageId."""

    seconds: float
    story: Story
    outcome: Outcome
    different_bytes: int
    failed_tasks: int
    builds: dict[int, int]

    @property
    def broken(self) -> list[str]:
        return self.outcome.broken

    def as_json(self) -> dict[str, Any]:
        return {
            "seconds": self.seconds,
            "events": self.outcome.events,
            "requests": self.outcome.requests,
            "attempts": self.outcome.attempts,
            "lost": self.outcome.lost,
            "different_bytes": self.different_bytes,
            "failed_tasks": self.failed_tasks,
            "builds": {str(build): count for build, count in sorted(self.builds.items())},
            "alerts": dict(Counter(alert["type"] for alert in self.story.alerts.alerts)),
            "going_back": self.story.refused,
            "switches": [asdict(switch) for switch in self.story.switches],
            "broken": self.broken,
        }


def as_they_are(releases: Releases) -> Releases:
    return releases


async def run(
    *,
    seed: int,
    events: int,
    stage_seconds: float = STAGE_SECONDS,
    changed: Callable[[Releases], Releases] = as_they_are,
) -> Upgrade:
    """`stage_seconds`: how long a batch takes to come in.

    `changed` may break a release on purpose, in a folder where its code lies.
    """
    directory = Path(tempfile.mkdtemp(prefix="emitonce-upgrade-"))
    first, r0, this = changed(lay_out(directory))
    async with (
        open_receiver() as alerts,
        open_world(directory, Random(seed), root=first.root) as world,
    ):
        world.env |= {
            "EMITONCE_ALERT_URL": alerts.url,
            "EMITONCE_ALERT_SECRET": SECRET,
            "EMITONCE_ALERT_EVERY_SECONDS": "2",
        }
        story = await _begin(world, first, events, stage_seconds, alerts)
        try:
            await _tell(story, first, r0, this)
        except (AssertionError, TimeoutError) as err:
            story.broken.append(f"the story could not be told: {err!r}")
        upgrade = await _examined(story)
    if not upgrade.broken:
        shutil.rmtree(directory, ignore_errors=True)  # else its logs are worth reading
    return upgrade


async def _begin(
    world: World, first: Release, events: int, stage_seconds: float, alerts: Receiver
) -> Story:
    fleet, vendor = Fleet(world, api=first), Vendor(world)
    await vendor.open()
    for _ in range(WORKERS):
        await fleet.add(first)
    await world.start_api(root=first.root)
    management = await Management.set_up(world, vendor, root=first.root)
    round = Round(world, NAME, management.workspace, management.public_key)
    return Story(world, round, vendor, management, fleet, alerts, events, stage_seconds)


async def _tell(story: Story, first: Release, r0: Release, this: Release) -> None:
    await story.replaced(first, r0)
    await story.replaced(r0, this, workers=1)
    await story.replaced(this, r0, workers=1, migrating=False)
    await story.used_only(1)
    await story.replaced(r0, this)
    await story.alone(this, r0)
    await story.finished()


async def _examined(story: Story) -> Upgrade:
    outcome, world = Outcome(NAME), story.world
    facts = await story.round.facts()
    outcome.take(facts)
    others = world.client.list_workflows("WorkflowType != 'DeliverEvent'")
    failed = await failed_tasks(world.client, [run async for run in others])
    outcome.broken += [f"I8: {count} workflow tasks of {id} failed" for id, count in failed.items()]
    outcome.broken += story.broken
    return Upgrade(
        seconds=round(time.monotonic() - story.began, 1),
        story=story,
        outcome=outcome,
        different_bytes=sum(fault.startswith("I4") for fault in outcome.broken),
        failed_tasks=sum(facts.failed_tasks.values()) + sum(failed.values()),
        builds=dict(await story.builds(story.round.emitted)),
    )
