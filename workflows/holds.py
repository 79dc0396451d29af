"""What a run knows of its connections: which were resumed, and which deliveries they hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable


class Holds:
    """Counts the resumptions of each connection, and knows which deliveries are held.

    `on_change` is called with True when the first delivery becomes held and with False when the
    last one continues.
    """

    def __init__(self, on_change: Callable[[bool], None]) -> None:
        self._resumed: Counter[str] = Counter()
        self._holding: dict[str, str] = {}
        self._on_change = on_change

    def resume(self, connection: str) -> None:
        self._resumed[connection] += 1

    def times_resumed(self, connection: str) -> int:
        """Return how often the connection was resumed.

        Compare it with the count from before a try, so that no signal is missed during the try.
        """
        return self._resumed[connection]

    def hold(self, rule: str, connection: str) -> None:
        if not self._holding:
            self._on_change(True)
        self._holding[rule] = connection

    def release(self, rule: str) -> None:
        if self._holding.pop(rule, None) is not None and not self._holding:
            self._on_change(False)
