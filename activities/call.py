"""What `identify`, `track` and `send` have in common: their policy, and who makes the request."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from temporalio.common import RawValue, RetryPolicy

from activities.policy import Policy
from delivery.outcome import BACKOFF_FACTOR, BACKOFF_FIRST, BACKOFF_LONGEST, OutcomeCode
from delivery.step import CONNECTION_HELD, Step, StepResult

# `schedule_to_close` is what is left of the delivery's 72 h, known only to the workflow. The
# intervals here hold where a try ended without a word (a lost worker); otherwise the activity
# names the wait itself, with jitter, by `next_retry_delay`.
CALL_POLICY = Policy(
    start_to_close=timedelta(seconds=30),
    retry=RetryPolicy(
        initial_interval=BACKOFF_FIRST,
        backoff_coefficient=BACKOFF_FACTOR,
        maximum_interval=BACKOFF_LONGEST,
        maximum_attempts=0,
        non_retryable_error_types=[
            CONNECTION_HELD,
            OutcomeCode.REJECTED_CLIENT_ERROR,
            OutcomeCode.MAPPING_ERROR,
        ],
    ),
)


class CallSender(Protocol):
    """Makes one try of a call, see `activities.sender`."""

    async def send(self, step: Step | RawValue) -> StepResult: ...
