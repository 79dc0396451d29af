"""One attempt at one call, and the list of attempts that an activity carries along."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime

from delivery.frozen_model import FrozenModel
from delivery.outcome import OutcomeCode

# Who it is; what happened; one message for a destination without people. Sent in this order.
Call = Literal["identify", "track", "send"]
CALLS: tuple[Call, ...] = ("identify", "track", "send")

KEPT_FIRST = 10
KEPT_LAST = 40
EXCERPT_ENDS = 2_000
EXCERPT_BETWEEN = 500

UNREPORTED = "unknown: nobody has reported how this attempt ended; a request may have been made"


class Attempt(FrozenModel):
    """One request, made or not, and how it ended.

    `request_made` says whether a request may have reached the vendor. It is None where that is
    unknown, and in what older releases recorded. `next_attempt_at` is set while another attempt is
    planned. `error_code` and `error_field` are what the answer names, or a code of our own: see
    `Reason`. `response_excerpt` has at most 2,000 characters (500 between the first and the last
    attempt) and no secrets.
    """

    number: int
    call: Call
    started_at: AwareDatetime
    duration_ms: int
    outcome_code: OutcomeCode
    request_made: bool | None = None
    status_code: int | None = None
    message: str
    error_code: str | None = None
    error_field: str | None = None
    response_excerpt: str | None = None
    next_attempt_at: AwareDatetime | None = None


class AttemptList(FrozenModel):
    """The attempts of one call, of which the first 10 and the last 40 are kept.

    An activity's heartbeats and result carry this list, so even after days of retries it must stay
    far below Temporal's limit for one payload (2 MiB).
    """

    count: int = 0
    kept: tuple[Attempt, ...] = ()

    @property
    def left_out(self) -> int:
        """The number of attempts that were made but are no longer in `kept`."""
        return self.count - len(self.kept)

    @property
    def first(self) -> Attempt | None:
        return self.kept[0] if self.kept else None

    @property
    def last(self) -> Attempt | None:
        return self.kept[-1] if self.kept else None

    def add(self, attempt: Attempt) -> AttemptList:
        """Return this list with `attempt` at its end, excerpts shortened, the middle left out."""
        kept = [*self.kept, _with_excerpt(attempt, EXCERPT_ENDS)]
        if len(kept) > 2:
            kept[-2] = _with_excerpt(kept[-2], EXCERPT_BETWEEN)
        if len(kept) > KEPT_FIRST + KEPT_LAST:
            del kept[KEPT_FIRST]
        return AttemptList(count=self.count + 1, kept=tuple(kept))

    def next_number(self) -> int:
        return self.count + 1


def _with_excerpt(attempt: Attempt, limit: int) -> Attempt:
    excerpt = attempt.response_excerpt
    if excerpt is None or len(excerpt) <= limit:
        return attempt
    return attempt.model_copy(update={"response_excerpt": excerpt[: limit - 1] + "…"})


def lost_attempt(number: int, call: Call, at: datetime) -> Attempt:
    """Make the record of a try that Temporal counted but no worker reported.

    Whether a request was made is unknown; messageId makes the next one safe.
    """
    return Attempt(
        number=number,
        call=call,
        started_at=at,
        duration_ms=0,
        outcome_code=OutcomeCode.INTERNAL_ERROR,
        message=UNREPORTED,
        next_attempt_at=at,
    )


def unsent_attempt(number: int, call: Call, at: datetime, reason: str) -> Attempt:
    """Make the record of a try that is known to have ended before its request."""
    return Attempt(
        number=number,
        call=call,
        started_at=at,
        duration_ms=0,
        outcome_code=OutcomeCode.INTERNAL_ERROR,
        request_made=False,
        message=f"{reason}, so no request was made",
        next_attempt_at=at,
    )
