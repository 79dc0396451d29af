"""Choose which window of time to list next, going back from the newest event.

Temporal lists runs in an order of its own and a limited number at a time, so they are read in
windows that fit into one page and are sorted here. The width adapts to how densely events were
accepted: a window that holds too many is narrowed to what its first page says is enough, and the
windows after an empty one are widened.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

FIRST = timedelta(hours=1)
NARROWEST = timedelta(milliseconds=1)
# A wider window reaches down to the floor, so it includes the oldest event.
WIDEST = timedelta(days=64)
WHOLE = 2 * WIDEST
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
    _blindly: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.width = min(max(self.width, NARROWEST), WHOLE)
        self.exhausted = self.upper is not None and self.upper <= self.floor

    @property
    def start(self) -> datetime:
        return self.upper if self.upper is not None else self.now

    @property
    def lower(self) -> datetime:
        if self.width > WIDEST or self.start <= self.floor:
            return self.floor
        return max(self.start - self.width, self.floor)

    @property
    def is_whole(self) -> bool:
        """Whether this window is everything, from the floor on."""
        return self.upper is None and self.width > WIDEST

    @property
    def can_narrow(self) -> bool:
        return self.width > NARROWEST

    def aim(self, accepted: Iterable[datetime], wanted: int) -> None:
        """Start with a window that holds `wanted` events, going by when some were accepted.

        The newest events are at least as new as the newest of these.
        """
        newest = sorted(accepted, reverse=True)[:wanted]
        if len(newest) == wanted:
            self.width = max(self.start - newest[-1], NARROWEST)

    def narrow(self, accepted: Iterable[datetime], wanted: int) -> None:
        """Narrow a window that holds too many runs, to its newest part.

        `accepted` has the acceptance times of those of its events that have been read, which say
        where to aim. If that doesn't halve the window, for example because the server lists old
        open runs first, it is narrowed blindly: to a part of what lies before the newest of them,
        or of all, in turn.
        """
        self._crowded = self.lower
        held = self.start - self.lower
        accepted = list(accepted)
        self.width = held
        self.aim(accepted, wanted)
        if self.width > min(held / 2, WIDEST):
            idle = self.start - max(accepted) if accepted and not self._blindly else timedelta()
            self._blindly = not self._blindly
            self.width = max(idle + min(held - idle, WIDEST) / NARROW, NARROWEST)

    def advance(self, rows: int, wanted: int, newest: datetime | None = None) -> None:
        """Move to the next window. This one held `rows` runs; the next should hold `wanted`.

        Their density counts from the `newest`, since nothing may have been accepted after it.
        """
        lower = self.lower
        if newest is not None and newest > lower:
            self.width = min(self.width, newest - lower)
        if lower <= self.floor:
            self.exhausted = True
            return
        self.upper = lower
        factor = min(wanted / rows, WIDEN) if rows else WIDEN
        self.width = max(min(self.width, WIDEST) * max(factor, 1 / NARROW), NARROWEST)
        if self._crowded is not None and lower > self._crowded:
            # The rest of a window that held too many: try half of it.
            self.width = max(min(self.width, (lower - self._crowded) / 2), NARROWEST)
