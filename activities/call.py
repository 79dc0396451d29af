"""What `identify`, `track` and `send` share: the policy, and the protocol of their sender."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from temporalio.common import RawValue, RetryPolicy

from activities.policy import Policy
from delivery.outcome import BACKOFF_FIRST, BACKOFF_LONGEST, OutcomeCode
from delivery.step import CONNECTION_HELD, Step, StepResult

# Tries that made no request count too, so the interval grows slowly: 4 s after ten of them. It
# still grows, in case it is the event that ends its workers.
LOST_BACKOFF_FACTOR = 1.15

# `schedule_to_close` is what is left of the delivery's 72 h, which only the workflow knows. These
# intervals apply if a try ends without a report (its worker was lost); otherwise the activity sets
# the wait itself, with jitter, as `next_retry_delay`.
CALL_POLICY = Policy(
    start_to_close=timedelta(seconds=30),
    heartbeat=timedelta(seconds=10),
    retry=RetryPolicy(
        initial_interval=BACKOFF_FIRST,
        backoff_coefficient=LOST_BACKOFF_FACTOR,
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
    """Tries a call once, see `activities.sender`."""

    async def send(self, step: Step | RawValue) -> StepResult: ...
