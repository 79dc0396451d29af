"""How the latest attempts of each connection ended, as one worker has seen them.

It is a measurement for status and alerts, kept in memory and written to the catalog every few
seconds. Noting an attempt waits for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from delivery.alert import LastResponse
from delivery.outcome import OutcomeCode


@dataclass
class Tally:
    """One connection's attempts since they were last written. Times are of a monotonic clock.

    `failing_since` is the first failure after the last success, `failures` how many followed it.
    """

    last_success: float | None = None
    last_failure: float | None = None
    last_error: LastResponse | None = None
    failing_since: float | None = None
    failures: int = 0

    def succeed(self, now: float) -> None:
        self.last_success, self.failing_since, self.failures = now, None, 0

    def fail(self, error: LastResponse, now: float) -> None:
        self.last_failure, self.last_error = now, error
        self.failing_since = now if self.failing_since is None else self.failing_since
        self.failures += 1

    def follow(self, earlier: Tally) -> None:
        """Add attempts that were made before these."""
        if self.last_success is None:
            self.last_success = earlier.last_success
            self.failures += earlier.failures
            if earlier.failing_since is not None:
                self.failing_since = earlier.failing_since
        if self.last_failure is None:
            self.last_failure, self.last_error = earlier.last_failure, earlier.last_error


class Tallies:
    """Tallies by connection."""

    def __init__(self) -> None:
        self._kept: dict[str, Tally] = {}

    def note(self, connection: str, attempt: LastResponse, now: float) -> None:
        tally = self._kept.setdefault(connection, Tally())
        if attempt.outcome_code is OutcomeCode.DELIVERED:
            tally.succeed(now)
        else:
            tally.fail(attempt, now)

    def take(self) -> Mapping[str, Tally]:
        """Return all tallies and start again."""
        taken, self._kept = self._kept, {}
        return taken

    def put_back(self, taken: Mapping[str, Tally]) -> None:
        """Keep what could not be written, until the next time."""
        for connection, earlier in taken.items():
            self._kept.setdefault(connection, Tally()).follow(earlier)
