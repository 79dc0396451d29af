"""The vendor's side of the troubles: its keys, and what it answers to whom."""

from __future__ import annotations

from itertools import count

from tests.chaos.world import World
from tests.upgrade.kinds import REFUSED_TIMES, Kind


class Vendor:
    """Knows one key for each kind of event. `open` must have been called."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._numbers = count()
        self._keys = {kind: self._make(kind) for kind in Kind}

    async def open(self) -> None:
        await self._tell()

    def key(self, kind: Kind) -> str:
        return self._keys[kind]

    async def new_key(self, kind: Kind) -> str:
        """The former one is refused from now on, with 401."""
        self._keys[kind] = self._make(kind)
        await self._tell()
        return self._keys[kind]

    async def trouble(self, *kinds: Kind) -> None:
        """These have theirs from now on, the others none."""
        await self._world.behave()
        for kind in kinds:
            if kind.fault is not None:
                call, answer = kind.fault
                nth = None if kind is Kind.FAILING else REFUSED_TIMES
                await self._world.misbehave(answer, call, nth=nth, key=self._keys[kind])

    def _make(self, kind: Kind) -> str:
        return f"{self._world.planted['api key']}-{kind}-{next(self._numbers)}"

    async def _tell(self) -> None:
        await self._world.asked("keys", "POST", {"us": list(self._keys.values())})
