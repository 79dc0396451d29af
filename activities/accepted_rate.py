"""How many requests a second a vendor accepts, found by its refusals ("too many requests").

Additive increase, multiplicative decrease, over what was measured. A pure decision over a monotonic
clock in seconds.
"""

from __future__ import annotations

from collections import deque

# Refusals are many where they are so many of the latest answers, or so many in a row; fewer show
# no limit that isn't known.
MANY = 5
OF_LATEST = 20
IN_A_ROW = 3

DECREASE = 0.9  # of what was accepted in the last second
MEASURABLE = 2.0  # accepted a second; fewer show no limit
LEAST = 0.1  # requests a second that are always tried
# A lone refusal lowers a limit that is known, no further than to this part of it.
LOWEST_BY_LONE = 0.75

# What a decrease took is given back in so many seconds of full use.
RECOVERY = 12.0
# Nothing was refused this far above the limit: there is another one, or none.
BEYOND = 1.15
DOUBLED_IN = 5.0  # seconds, in the search for it
# So long a limit is believed that many refusals have shown, and twice as long each time that it
# is confirmed; then it is searched for again.
BELIEVED = 60.0
BELIEVED_LONGEST = 3_600.0

MOST_MEASURED = 3_000
_WINDOW = 3.0  # seconds over which is measured what was accepted
_USED = 0.8  # a rate is used up where so much of it was accepted


class AcceptedRate:
    """One connection's, as one worker sees it; `per_second` is None while no limit shows.

    The limit is searched for by all workers together, so each adds only its `share`.
    """

    def __init__(self) -> None:
        self.per_second: float | None = None
        self.share = 1.0
        self._limit = 0.0
        self._proven = 0.0
        self._lowered_at = float("-inf")
        self._believed = BELIEVED / 2  # doubled by the first that is found
        self._searches_at = 0.0
        self._accepted: deque[float] = deque(maxlen=MOST_MEASURED)
        self._refused: deque[bool] = deque(maxlen=OF_LATEST)

    def accept(self, now: float) -> None:
        """A request was accepted."""
        self._accepted.append(now)
        self._refused.append(False)
        if self.per_second is None or not self._used_up(now):
            return
        if now >= self._searches_at or self.per_second > BEYOND * self._limit:
            self.per_second += 1 / DOUBLED_IN
        else:
            given_back = self.share * (1 - DECREASE) * self._limit / RECOVERY
            self.per_second += given_back / self.per_second

    def refuse(self, now: float, began: float, *, asked: bool) -> bool:
        """A request that began then was refused; True where many are, so that all should pause.

        `asked` says that the vendor told how long to wait: it has a limit.
        """
        self._refused.append(True)
        if began < self._lowered_at:
            return False
        latest = tuple(self._refused)
        if sum(latest) >= MANY or sum(latest[-IN_A_ROW:]) >= IN_A_ROW:
            self._find(now)
            return True
        if asked:
            self.lower(now)
            return False
        used_up = self._used_up(now)
        if self.per_second is not None and used_up and now < self._searches_at:
            lowest = LOWEST_BY_LONE * self._proven
            self._limit = max(self.per_second, lowest)
            self.per_second = max(DECREASE * self.per_second, lowest)
            self._lowered_at = now
        return False

    def lower(self, now: float) -> None:
        """There is a limit, and it is passed: go on at what was accepted."""
        if self.per_second is not None or self._measured(now) >= MEASURABLE:
            self._find(now)

    def _find(self, now: float) -> None:
        measured = self._measured(now)
        if self.per_second is not None:
            measured = min(max(measured, self.per_second / 2), self.per_second)
        self._limit = self._proven = max(measured, LEAST)
        self.per_second = max(DECREASE * measured, LEAST)
        self._lowered_at = now
        self._refused.clear()
        self._believed = min(2 * self._believed, BELIEVED_LONGEST)
        self._searches_at = now + self._believed

    def _used_up(self, now: float) -> bool:
        return self.per_second is not None and self._measured(now) >= _USED * self.per_second

    def _measured(self, now: float) -> float:
        while self._accepted and self._accepted[0] <= now - _WINDOW:
            self._accepted.popleft()
        if not self._accepted:
            return 0.0
        return len(self._accepted) / max(now - self._accepted[0], 1.0)
