"""Heartbeat details: what one try of a step passes on to the next.

The first detail is a `Carried`: all attempts so far. A try that can't read its input makes no
request. It passes the first detail on unchanged, even if it can't decrypt it, and adds its reason
as a second detail.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import ValidationError
from temporalio import activity
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from delivery.attempt import AttemptList, lost_attempt, unsent_attempt
from delivery.outcome import retry_delay
from delivery.step import Carried, Notes, Step, Unsent

CANNOT_DECODE = "CannotDecode"

# This many heartbeats are sent within the timeout, so that a few can be late.
WITHIN_TIMEOUT = 4

T = TypeVar("T")


async def with_heartbeats(work: Coroutine[Any, Any, T]) -> T:
    """Do the work of a try, and send heartbeats meanwhile if Temporal expects them.

    Each repeats what earlier tries passed on, because a heartbeat replaces the one before. The
    answer to one may cancel the try; its work goes on then, so that a request under way is
    recorded. Only a worker that stops ends it.
    """
    info = activity.info()
    if not info.heartbeat_timeout:
        return await work
    beat = info.heartbeat_timeout.total_seconds() / WITHIN_TIMEOUT
    task = asyncio.create_task(work)
    while not task.done():
        try:
            await asyncio.wait([task], timeout=beat)
        except asyncio.CancelledError:
            why = activity.cancellation_details()
            if why is not None and why.worker_shutdown:
                task.cancel()
        else:
            if not task.done():
                activity.heartbeat(*info.heartbeat_details)
    return task.result()


def readable(step: Step | RawValue) -> Step:
    """Return the step that this try was given.

    Raises:
        ApplicationError: this worker can't read it; another one may.
    """
    if isinstance(step, RawValue):
        raise unsent(_why("its message", step), type=CANNOT_DECODE)
    return step


def carried_so_far(step: Step) -> Carried:
    """Return what was tried before: before a hold, and by earlier tries of this activity.

    Raises:
        ApplicationError: this worker can't read it; another one may.
    """
    info = activity.info()
    carried = Carried(tries=0, attempts=step.attempts)
    if info.heartbeat_details:
        carried = _read(info.heartbeat_details[0])
        if carried.attempts.count < step.attempts.count:  # from a try that could read neither
            carried = carried.model_copy(update={"attempts": step.attempts})
    notes = _notes(info.heartbeat_details)
    attempts = carried.attempts
    for missing in range(carried.tries + 1, info.attempt):
        number, call = attempts.next_number(), step.message.call
        note = notes.of(missing)
        attempts = attempts.add(
            lost_attempt(number, call, info.current_attempt_scheduled_time)
            if note is None
            else unsent_attempt(number, call, note.at, note.reason)
        )
    return carried.model_copy(update={"attempts": attempts})


def unsent(reason: str, *, type: str) -> ApplicationError:
    """Make the error of a try without a request, and note in a heartbeat that it made none."""
    info = activity.info()
    details = info.heartbeat_details
    carried = details[0] if details else Carried(tries=0, attempts=AttemptList())
    now = datetime.now(UTC)
    note = Unsent(first=info.attempt, last=info.attempt, reason=reason, at=now)
    activity.heartbeat(carried, _notes(details).add(note))
    return ApplicationError(
        f"{reason}, so no request was made",
        *details[:1],
        type=type,
        next_retry_delay=retry_delay(
            info.attempt,
            retry_after=None,
            now=now,
            random=random.random(),  # noqa: S311  spreading waits, not keeping secrets
        ),
    )


@activity.defn(dynamic=True)
async def unknown_activity(arguments: Sequence[RawValue]) -> None:
    """Fail activities of newer releases that this one doesn't know: another worker runs them.

    Raises:
        ApplicationError: always.
    """
    known_as = activity.info().activity_type
    raise unsent(f"this worker's release doesn't know {known_as!r}", type="NotFoundError")


def _read(details: Any) -> Carried:
    try:
        return Carried.model_validate(details)
    except ValidationError:
        raise unsent(_why("its earlier attempts", details), type=CANNOT_DECODE) from None


def _notes(details: Sequence[Any]) -> Notes:
    """Read the notes. If they can't be read, how those tries ended is unknown."""
    try:
        return Notes.model_validate(details[1]) if len(details) > 1 else Notes()
    except ValidationError:
        return Notes()


def _why(what: str, given: Any) -> str:
    sealed = isinstance(given, RawValue) and given.payload.metadata.get("encoding") != b"json/plain"
    lacks = "the key is missing" if sealed else "its release is too old"
    return f"{what} can't be read by this worker, {lacks}"
