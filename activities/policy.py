"""The shape in which an activity declares its timeouts and retry policy, beside its definition."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from temporalio.common import RetryPolicy


@dataclass(frozen=True)
class Policy:
    """`start_to_close` bounds one try, `schedule_to_close` all tries with the waits between."""

    retry: RetryPolicy
    start_to_close: timedelta | None = None
    schedule_to_close: timedelta | None = None

    def once(self) -> Policy:
        """The same, tried a single time: for test events."""
        return replace(self, retry=replace(self.retry, maximum_attempts=1))
