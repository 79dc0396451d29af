"""Bulk redelivery: which events, its progress, and what became of each event."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime

from delivery.frozen_model import FrozenModel
from delivery.reason import Reason
from delivery.timestamps import EPOCH

PROGRESS = "progress"

# Only the latest outcomes are kept, and as many of the latest skipped ones: a list of all would
# outgrow one payload.
KEPT_OUTCOMES = 100

EVENTS_PER_SECOND = 20
MOST_PER_SECOND = 500


class InvalidSelection(ValueError):
    """The selection is not valid; the message names the field."""


class Mode(StrEnum):
    """What is delivered again.

    `failed`: an event's failed deliveries, under the same message ids, so that nothing counts
    twice. `again`: delivered events, as new events that name the original. `identify_only`: the
    same, but only identify. Vendors see the last two as new messages, which may start campaigns
    again.
    """

    FAILED = "failed"
    AGAIN = "again"
    IDENTIFY_ONLY = "identify_only"

    @property
    def sends_delivered_ones(self) -> bool:
        return self is not Mode.FAILED


class Selection(FrozenModel):
    """Which events: accepted in [`accepted_from`, `accepted_to`) and ended by `as_of`.

    A selection is frozen: what ends after `as_of`, such as an event that fails again, is not in it.
    With `reason`, written as `Reason.key`, only what failed for it at `connection` is selected.
    """

    workspace: str
    accepted_from: AwareDatetime
    accepted_to: AwareDatetime
    as_of: AwareDatetime
    connection: str | None = None
    rule: str | None = None
    event: str | None = None
    mode: Mode = Mode.FAILED
    reason: str | None = None

    @property
    def id(self) -> str:
        """A UUID made of the selection: starting the same selection twice starts it once.

        Older releases, which know no reasons, make the same for a selection without one.
        """
        left_out = None if self.reason is not None else {"reason"}
        return _uuid_of(f"redelivery|{self.model_dump_json(exclude=left_out)}")

    def new_event_id(self, original: str) -> str:
        """Make the id under which a delivered event is sent again: the same on every retry."""
        return _uuid_of(f"again|{self.id}|{original}")


def select(
    workspace: str,
    *,
    accepted_from: datetime,
    accepted_to: datetime | None = None,
    as_of: datetime | None = None,
    now: datetime,
    connection: str | None = None,
    rule: str | None = None,
    event: str | None = None,
    mode: Mode = Mode.FAILED,
    reason: str | None = None,
) -> Selection:
    """Freeze a selection. `accepted_to` and `as_of` are `now` by default.

    It starts in 1970 at the earliest: some clients send the year 1 for "no time".

    Raises:
        InvalidSelection: the time range is empty, reversed or in the future, or a time has no zone;
            a reason can't be read, or is named without a connection, or with another mode.
    """
    if reason is not None:
        _check_reason(reason, connection, mode)
    upper = accepted_to if accepted_to is not None else now
    for name, moment in (
        ("accepted_from", accepted_from),
        ("accepted_to", upper),
        ("as_of", as_of or now),
    ):
        if moment.tzinfo is None:
            raise InvalidSelection(f"{name}: has no time zone; add one, such as Z at its end")
    accepted_from = max(accepted_from, EPOCH)
    if accepted_from > now:
        raise InvalidSelection(f"accepted_from: {accepted_from.isoformat()} lies in the future")
    if accepted_from >= upper:
        raise InvalidSelection(
            f"accepted_to: the time range is empty: {accepted_from.isoformat()} is not before "
            f"{upper.isoformat()}"
        )
    as_of = min(as_of, now) if as_of is not None else now
    return Selection(
        workspace=workspace.lower(),
        accepted_from=_in_milliseconds(accepted_from),
        accepted_to=_in_milliseconds(upper),
        as_of=_in_milliseconds(as_of),
        connection=connection.lower() if connection is not None else None,
        rule=rule.lower() if rule is not None else None,
        event=event,
        mode=mode,
        reason=reason,
    )


def _check_reason(reason: str, connection: str | None, mode: Mode) -> None:
    if Reason.read(reason) is None:
        raise InvalidSelection("reason: can't be read; copy it from the list of issues")
    if connection is None:
        raise InvalidSelection("reason: needs the connection at which events failed; name it")
    if mode.sends_delivered_ones:
        raise InvalidSelection(f"reason: is only for failures, and mode is {mode}; leave one out")


def _uuid_of(text: str) -> str:
    """Make a UUID of version 8 (RFC 9562, custom) from a hash of `text`."""
    octets = bytearray(hashlib.sha256(text.encode()).digest()[:16])
    octets[6] = octets[6] & 0x0F | 0x80
    octets[8] = octets[8] & 0x3F | 0x80
    return str(UUID(bytes=bytes(octets)))


def _in_milliseconds(moment: datetime) -> datetime:
    return moment - timedelta(microseconds=moment.microsecond % 1000)


class EventOutcome(FrozenModel):
    """What became of one event.

    `redelivered` started a new run (`run_id`), `sent_again` a new event (`new_event_id`). For
    `skipped`, `reason` says why nothing was sent.
    """

    event_id: str
    outcome: Literal["redelivered", "sent_again", "skipped"]
    run_id: str | None = None
    new_event_id: str | None = None
    reason: str | None = None

    @property
    def sent_event_id(self) -> str:
        return self.new_event_id or self.event_id


class Page(FrozenModel):
    """The part of a selection that one activity delivers again, from `cursor` on."""

    selection: Selection
    per_second: float
    cursor: str | None = None


class PageDone(FrozenModel):
    outcomes: tuple[EventOutcome, ...]
    next_cursor: str | None = None


class Progress(FrozenModel):
    """Progress, in events. `planned` is the number selected at the start, an estimate unless exact.

    Every event of the frozen selection is visited once, so `planned` is reached even when some
    were redelivered meanwhile, or by an earlier start that was canceled.
    """

    planned: int
    planned_exact: bool = True
    redelivered: int = 0
    skipped: int = 0
    latest: tuple[EventOutcome, ...] = ()
    latest_skipped: tuple[EventOutcome, ...] = ()

    @property
    def done(self) -> int:
        return self.redelivered + self.skipped

    def after(self, outcomes: tuple[EventOutcome, ...]) -> Progress:
        skipped = tuple(one for one in outcomes if one.outcome == "skipped")
        return Progress(
            planned=self.planned,
            planned_exact=self.planned_exact,
            redelivered=self.redelivered + len(outcomes) - len(skipped),
            skipped=self.skipped + len(skipped),
            latest=(*self.latest, *outcomes)[-KEPT_OUTCOMES:],
            latest_skipped=(*self.latest_skipped, *skipped)[-KEPT_OUTCOMES:],
        )


class BulkRedelivery(FrozenModel):
    """The input of `RedeliverEvents`. A run that continues as new hands on progress and cursor."""

    selection: Selection
    per_second: float
    progress: Progress
    cursor: str | None = None
