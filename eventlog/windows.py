"""Which stretch of time to ask for next, going back from the newest event.

A list of runs comes unsorted and only so many at a time, so it is read in windows small enough to
be had whole and sorted here. How small depends on how densely events were accepted: a window that
holds too many is narrowed, the ones after an empty one are widened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

FIRST = timedelta(hours=1)
NARROWEST = timedelta(milliseconds=1)
# A wider one reaches down to the floor: with it the oldest event has been seen.
WIDEST = timedelta(days=64)
WIDEN = 8
NARROW = 8


@dataclass
class Windows:
    """The next window is [lower, upper), `upper` None for an open end.

    `now` is where an open-ended window is measured from. Nothing before `floor` is asked for.
    """

    upper: datetime | None
    now: datetime
    floor: datetime
    width: timedelta = FIRST
    exhausted: bool = False
    _crowded: datetime | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.width = min(max(self.width, NARROWEST), WIDEST)
        self.exhausted = self.upper is not None and self.upper <= self.floor

    @property
    def lower(self) -> datetime:
        start = self.upper if self.upper is not None else self.now
        if self.width > WIDEST or start <= self.floor:
            return self.floor
        return max(start - self.width, self.floor)

    @property
    def can_narrow(self) -> bool:
        return self.width > NARROWEST

    def narrow(self) -> None:
        """The window holds more than can be had at once: ask for its newest part first."""
        self._crowded = self.lower
        self.width = max(min(self.width, WIDEST) / NARROW, NARROWEST)

    def advance(self, rows: int, wanted: int) -> None:
        """The window was read and held `rows` runs; the next ones should hold about `wanted`."""
        lower = self.lower
        if lower <= self.floor:
            self.exhausted = True
            return
        self.upper = lower
        factor = min(wanted / rows, WIDEN) if rows else WIDEN
        self.width = max(min(self.width, WIDEST) * max(factor, 1 / NARROW), NARROWEST)
        if self._crowded is not None and lower > self._crowded:
            # Up to there it was too much; half of it may be less.
            self.width = max(min(self.width, (lower - self._crowded) / 2), NARROWEST)
