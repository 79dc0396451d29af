"""Workers of several releases side by side, replaced one by one as an orchestrator does."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.chaos.processes import ROOT, Child
from tests.chaos.world import World
from tests.upgrade.releases import Release


@dataclass
class Fleet:
    """`api` is the release whose API answers."""

    world: World
    api: Release
    workers: list[tuple[Release, Child]] = field(default_factory=list)

    async def add(self, release: Release) -> None:
        """Raises AssertionError when the worker ends before it works; its log says why."""
        child = await self.world.worker(
            f"worker of {release.name}", root=release.root, EMITONCE_BUILD_ID=release.name
        )
        self.workers.append((release, child))

    async def replace(self, old: Release, new: Release) -> None:
        """One more of the new release, then one of the old is told to stop."""
        await self.add(new)
        place = [release for release, _ in self.workers].index(old)
        _, child = self.workers.pop(place)
        code = await child.terminate()
        assert code == 0, f"a worker that was told to stop ended with {code}"

    async def refuses(self, release: Release) -> str | None:
        """What a worker of this release says when it isn't admitted; None when it is."""
        try:
            await self.add(release)
        except AssertionError:
            log = self.world.logs / f"worker of {release.name}.log"
            return log.read_text().splitlines()[-1]
        return None

    async def leave_to(self, release: Release) -> None:
        """All workers but this release's are killed."""
        for other, child in list(self.workers):
            if other is not release:
                await child.kill()
        self.workers = [one for one in self.workers if one[0] is release]

    @property
    def has_older(self) -> bool:
        return any(release.root != ROOT for release, _ in self.workers)

    @property
    def releases(self) -> dict[str, int]:
        """How many workers of each there are."""
        return dict(Counter(release.name for release, _ in self.workers))
