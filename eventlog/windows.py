"""Choose which window of time to list next, going back from the newest event.

Temporal lists runs unsorted and a limited number at a time, so they are read in windows that fit
into one page and are sorted here. The width adapts to how densely events were accepted: a window
that holds too many is narrowed, and the windows after an empty one are widened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

FIRST = timedelta(hours=1)
NARROWEST = timedelta(milliseconds=1)
# A wider window reaches down to the floor, so it includes the oldest event.
WIDEST = timedelta(days=64)
WIDEN = 8
NARROW = 8


@dataclass
class Windows:
    """The windows to list, newest first. The next is [lower, upper), or open if `upper` is None.

    The width of an open window counts back from `now`. Nothing before `floor` is listed.
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
        """Narrow a window that holds too many runs, to its newest part."""
        self._crowded = self.lower
        self.width = max(min(self.width, WIDEST) / NARROW, NARROWEST)

    def advance(self, rows: int, wanted: int) -> None:
        """Move to the next window. This one held `rows` runs; the next should hold `wanted`."""
        lower = self.lower
        if lower <= self.floor:
            self.exhausted = True
            return
        self.upper = lower
        factor = min(wanted / rows, WIDEN) if rows else WIDEN
        self.width = max(min(self.width, WIDEST) * max(factor, 1 / NARROW), NARROWEST)
        if self._crowded is not None and lower > self._crowded:
            # The rest of a window that held too many: try half of it.
            self.width = max(min(self.width, (lower - self._crowded) / 2), NARROWEST)
