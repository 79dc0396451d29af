"""The timeouts and retry policy of an activity, declared beside its definition."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from temporalio.common import RetryPolicy

# For activities that fail only while something is unavailable: any number of tries, with waits that
# grow to a minute.
UNTIL_IT_WORKS = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(minutes=1),
    maximum_attempts=0,
)


@dataclass(frozen=True)
class Policy:
    """A retry policy with timeouts: `start_to_close` for one try, `schedule_to_close` for all.

    A try that sends no heartbeat for `heartbeat` has lost its worker.
    """

    retry: RetryPolicy
    start_to_close: timedelta | None = None
    schedule_to_close: timedelta | None = None
    heartbeat: timedelta | None = None

    def once(self) -> Policy:
        """Return the same policy without retries, for test events."""
        return replace(self, retry=replace(self.retry, maximum_attempts=1))
