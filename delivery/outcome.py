"""What an answer means and what happens next.

A destination may override rows of this table, in one function of its own; nothing else decides it.

| answer                                  | outcome               | then  |
| --------------------------------------- | --------------------- | ----- |
| any 2xx                                 | delivered             | done  |
| 408, 5xx                                | rejected_server_error | retry |
| 429                                     | rate_limited          | retry |
| 401, 403                                | auth_failed           | hold  |
| any other status                        | rejected_client_error | stop  |
| no answer: timeout, network failure     | timeout, network_error| retry |
"""

from __future__ import annotations

import email.utils
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Literal


class OutcomeCode(StrEnum):
    """How one attempt ended, in the vocabulary of the HTTP API."""

    DELIVERED = "delivered"
    REJECTED_CLIENT_ERROR = "rejected_client_error"
    REJECTED_SERVER_ERROR = "rejected_server_error"
    RATE_LIMITED = "rate_limited"
    AUTH_FAILED = "auth_failed"
    TIMEOUT = "timeout"
    NETWORK_ERROR = "network_error"
    MAPPING_ERROR = "mapping_error"
    INTERNAL_ERROR = "internal_error"


InactiveReason = Literal[
    "authentication_invalid",
    "oauth_authorization_revoked",
    "oauth_reauthorization_required",
    "manually_inactivated",
]
# What a vendor does about a credential that it doesn't accept, or no longer accepts, by the reason
# for which its connection is inactive. A new credential lets the connection deliver again.
REFUSALS: Mapping[InactiveReason, str] = {
    "authentication_invalid": "refuses the key",
    "oauth_authorization_revoked": "refuses the revoked token",
    "oauth_reauthorization_required": "requires a new authorization for the token",
}


class Then(StrEnum):
    """What the sender does after an attempt."""

    DONE = "done"
    RETRY = "retry"
    HOLD = "hold"
    STOP = "stop"


BACKOFF_FIRST = timedelta(seconds=1)
BACKOFF_FACTOR = 2.0
BACKOFF_LONGEST = timedelta(minutes=15)
BACKOFF_JITTER = 0.2
RETRY_AFTER_SHORTEST = timedelta(seconds=1)
RETRY_AFTER_LONGEST = timedelta(hours=1)

# Vendors may start nothing for people, such as a campaign, for events older than three days; the
# destination that says so has the source. A later delivery would have no effect.
DELIVERY_DEADLINE = timedelta(hours=72)

RETRYABLE_STATUS = frozenset({408, 429})
AUTH_STATUS = frozenset({401, 403})


@dataclass(frozen=True)
class Outcome:
    """How one attempt ended. `message` is one sentence for people, without personal data.

    `request_made` is False only if no request can have reached the vendor. `response_excerpt` is
    the part of the answer's body that is kept, without secrets. `error_code` and `error_field` are
    what the answer names, or a code of our own. When `then` is `hold`,
    `inactive_reason` says why the connection becomes inactive.
    """

    code: OutcomeCode
    then: Then
    message: str
    error_code: str | None = None
    error_field: str | None = None
    request_made: bool = True
    status_code: int | None = None
    response_excerpt: str | None = None
    retry_after: str | None = None
    inactive_reason: InactiveReason = "authentication_invalid"

    @classmethod
    def of_answer(
        cls, status: int, *, excerpt: str | None = None, retry_after: str | None = None
    ) -> Outcome:
        """Judge an HTTP answer only by its status: the bodies of vendors differ too much."""
        code, then, message = _judge_status(status)
        return cls(
            code,
            then,
            message,
            status_code=status,
            response_excerpt=excerpt or None,
            retry_after=retry_after,
        )

    def again(self, why: str) -> Outcome:
        """Return it as one after which another attempt is made, whatever the status means."""
        return replace(
            self,
            code=OutcomeCode.REJECTED_SERVER_ERROR,
            then=Then.RETRY,
            message=f"{self.status_code}: {why}",
        )


def _judge_status(status: int) -> tuple[OutcomeCode, Then, str]:
    if 200 <= status < 300:
        return OutcomeCode.DELIVERED, Then.DONE, f"accepted with {status}"
    if status == 429:
        return OutcomeCode.RATE_LIMITED, Then.RETRY, "429: too many requests"
    if status in RETRYABLE_STATUS or status >= 500:
        return (
            OutcomeCode.REJECTED_SERVER_ERROR,
            Then.RETRY,
            f"{status}: the server could not answer",
        )
    if status in AUTH_STATUS:
        return OutcomeCode.AUTH_FAILED, Then.HOLD, f"{status}: wrong key or wrong region"
    if 300 <= status < 400:
        return (
            OutcomeCode.REJECTED_CLIENT_ERROR,
            Then.STOP,
            f"{status}: a redirect, which is never followed; check region and base URL",
        )
    return OutcomeCode.REJECTED_CLIENT_ERROR, Then.STOP, f"{status}: the request was refused"


def retry_delay(
    failures: int, *, retry_after: str | None, now: datetime, random: float
) -> timedelta:
    """Return how long to wait after failed attempt number `failures` (from 1) before the next.

    `retry_after` is the header as received: seconds or an HTTP date (RFC 9110 §10.2.3), clamped to
    1 s … 1 h; anything else is ignored. `random`, in [0, 1), varies the wait by ±20 %, since
    Temporal adds no jitter and requests that failed together would come back together. The wait
    that `Retry-After` asks for is only lengthened, to an hour at most.
    """
    asked = parse_retry_after(retry_after, now)
    if asked is not None:
        return min(asked * (1 + BACKOFF_JITTER * random), RETRY_AFTER_LONGEST)
    exponent = min(max(failures, 1) - 1, 30)
    wait = min(BACKOFF_FIRST * BACKOFF_FACTOR**exponent, BACKOFF_LONGEST)
    return wait * (1 - BACKOFF_JITTER + 2 * BACKOFF_JITTER * random)


def parse_retry_after(header: str | None, now: datetime) -> timedelta | None:
    """Read `Retry-After`; None when absent or unreadable."""
    if header is None:
        return None
    text = header.strip()
    try:
        seconds = float(text)
    except ValueError:
        date = _parse_http_date(text)
        if date is None:
            return None
        seconds = (date - now).total_seconds()
    else:
        if not math.isfinite(seconds) or seconds < 0:
            return None
    longest = RETRY_AFTER_LONGEST.total_seconds()
    return max(RETRY_AFTER_SHORTEST, timedelta(seconds=min(max(seconds, 0.0), longest)))


def _parse_http_date(text: str) -> datetime | None:
    try:
        date = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
