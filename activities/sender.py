"""Try one call once: make a single HTTP request, judge and record it, return or raise.

Nothing here retries or waits between tries: Temporal does. All attempts so far travel in the
activity's heartbeat details, because Temporal keeps only the last failure.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog
from temporalio import activity
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.connection_limiter import Answer, Try
from activities.heartbeats import carried_so_far, readable, unsent, with_heartbeats
from activities.rate_limit import Limits, Permit, RateLimit, Throttled
from delivery.alert import LastResponse, Refusal
from delivery.attempt import Attempt, AttemptList
from delivery.credential import ConnectionCredential
from delivery.errors import Missing, Unavailable, Unreadable
from delivery.outcome import (
    REFUSALS,
    InactiveReason,
    Outcome,
    OutcomeCode,
    Then,
    parse_retry_after,
    retry_delay,
)
from delivery.step import CONNECTION_HELD, THROTTLED, Carried, Step, StepResult
from delivery.traffic import Tallies
from destinations.destination import Client, Destination
from destinations.http.errors import NoReply
from destinations.registry import BY_TYPE

# The limits of a try's parts, in seconds: getting ready, and storing in the catalog what the answer
# means for other tries. With 10 s for the request, 5 s of `start_to_close` are to spare: if
# Temporal timed a try out, its answer would be lost.
READY_SECONDS = 12.0
STORE_SECONDS = 3.0

# What an outcome says of the connection. An error of ours says nothing; any other answer says that
# it works.
ANSWERS = {
    OutcomeCode.RATE_LIMITED: Answer.REFUSED,
    OutcomeCode.REJECTED_SERVER_ERROR: Answer.FAILED,
    OutcomeCode.TIMEOUT: Answer.FAILED,
    OutcomeCode.NETWORK_ERROR: Answer.FAILED,
}

UNREADABLE_KEY = (
    "the connection's key can't be decrypted, so no request was made: give every worker the key "
    "it was stored with (EMITONCE_CREDENTIAL_KEYS), or enter the connection's key again"
)

# Expected failures: Temporal logs them at debug level and doesn't count them.
_BENIGN = ApplicationErrorCategory.BENIGN

log = structlog.get_logger("emitonce.delivery")


class ConnectionStore(Protocol):
    """The part of the catalog that sending needs."""

    async def credential(self, workspace: str, connection: str) -> ConnectionCredential: ...

    async def deactivate(
        self,
        connection: str,
        *,
        version: int,
        reason: InactiveReason,
        refusal: Refusal | None = None,
    ) -> bool: ...

    async def slow_down(self, connection: str, seconds: float) -> None: ...


class Sender:
    """Makes the request of a step, and reports by result or error how it ended."""

    def __init__(
        self,
        clients: Mapping[str, Client],
        connections: ConnectionStore,
        rate_limit: RateLimit,
        tallies: Tallies,
    ) -> None:
        """Make a sender; `clients` by destination type. How attempts end is noted in `tallies`."""
        self._clients = clients
        self._connections = connections
        self._rate_limit = rate_limit
        self._tallies = tallies

    async def send(self, step: Step | RawValue) -> StepResult:
        """Try once. `step` is raw where this worker can't read it.

        Raises:
            ApplicationError: its type is the outcome code, and its first detail a `StepResult`.
                Retryable ones have a `next_retry_delay`; `ConnectionHeld` and refusals are not
                retried. `Throttled` is retried and doesn't count as an attempt.
        """
        return await with_heartbeats(self._send(readable(step)))

    async def _send(self, step: Step) -> StepResult:
        carried = carried_so_far(step)
        attempts = carried.attempts
        started_at, clock = datetime.now(UTC), time.perf_counter()
        try:
            outcome = await self._try(step, carried)
        except Throttled as err:
            raise _throttled(step, attempts, err) from None
        attempt = Attempt(
            number=attempts.next_number(),
            call=step.message.call,
            started_at=started_at,
            duration_ms=round((time.perf_counter() - clock) * 1000),
            outcome_code=outcome.code,
            request_made=outcome.request_made,
            status_code=outcome.status_code,
            message=outcome.message,
            error_code=outcome.error_code,
            error_field=outcome.error_field,
            response_excerpt=outcome.response_excerpt,
        )
        self._tallies.note(step.connection, _response(step, outcome), time.monotonic())
        if outcome.then is Then.RETRY:
            raise _retry(step, outcome, attempts, attempt)
        result = StepResult.of(attempts.add(attempt))
        if outcome.then is Then.DONE:
            return result
        held = outcome.then is Then.HOLD
        raise ApplicationError(
            outcome.message,
            result,
            type=CONNECTION_HELD if held else outcome.code,
            non_retryable=True,
            category=_BENIGN if held else ApplicationErrorCategory.UNSPECIFIED,
        )

    async def _try(self, step: Step, carried: Carried) -> Outcome:
        try:
            async with asyncio.timeout(READY_SECONDS) as getting_ready:
                connection = await self._usable(step, carried.attempts)
                destination = _destination(connection)
                limits = Limits(
                    connection.requests_per_second or destination.requests_per_second,
                    destination.in_flight,
                    connection.slowed_until,
                    destination.account_of(connection),
                )
                one = Try(
                    event=activity.info().workflow_id or "",
                    pace=destination.paced_by(step.message),
                    came_back=carried.throttled or activity.info().attempt > carried.tries + 1,
                    tried_before=carried.attempts.count > 0,
                    test=step.test,
                )
                async with self._rate_limit.permit(step.connection, limits, one) as permit:
                    # Read it again: it may have been paused during the wait, or its key replaced.
                    connection = await self._usable(step, carried.attempts)
                    permit.confirm(connection.slowed_until)
                    getting_ready.reschedule(None)
                    outcome = await self._request(step, connection)
                    await self._learn(step, permit, outcome)
        except Unavailable:
            return _not_sent(
                "catalog_unavailable", "the catalog can't be reached, so no request was made"
            )
        except TimeoutError:
            return _not_sent(
                "catalog_unavailable", "the catalog did not answer in time, so no request was made"
            )
        except Missing:
            message = "the connection was deleted, so no request was made"
            return _not_sent("connection_deleted", message, Then.STOP)
        except Unreadable:
            return _not_sent("key_unreadable", UNREADABLE_KEY)
        if outcome.then is Then.HOLD and not await self._deactivated(step, connection, outcome):
            # The key was replaced meanwhile: the next attempt uses the new one.
            return replace(outcome, then=Then.RETRY)
        return outcome

    async def _usable(self, step: Step, attempts: AttemptList) -> ConnectionCredential:
        try:
            connection = await self._connections.credential(step.workspace, step.connection)
        except (Unavailable, Missing, Unreadable):
            raise
        except Exception as err:
            log.exception("a connection can't be read", connection=step.connection)
            raise Unavailable(type(err).__name__) from err
        if connection.status != "active":
            raise _held(connection, attempts)
        return connection

    async def _request(self, step: Step, connection: ConnectionCredential) -> Outcome:
        try:
            outcome = await self._clients[connection.type].send(step.message, connection)
            return _explained(outcome, _destination(connection))
        except NoReply as err:
            return Outcome(err.outcome_code, Then.RETRY, str(err), request_made=err.request_made)
        except Exception:
            log.exception("a request failed by an error of ours", connection=step.connection)
            return Outcome(
                code=OutcomeCode.INTERNAL_ERROR,
                then=Then.RETRY,
                message="the worker failed while the request was made",
            )

    async def _learn(self, step: Step, permit: Permit, outcome: Outcome) -> None:
        """Let the limiter know of the answer: in this worker at once, then in all others."""
        if outcome.code is OutcomeCode.INTERNAL_ERROR:
            return
        asked = parse_retry_after(outcome.retry_after, datetime.now(UTC))
        pause = permit.learn(
            ANSWERS.get(outcome.code, Answer.ACCEPTED), asked.total_seconds() if asked else None
        )
        if pause is not None:
            await _store(self._slow_down(permit.connections, pause))

    async def _slow_down(self, connections: tuple[str, ...], seconds: float) -> None:
        for connection in connections:
            await self._connections.slow_down(connection, seconds)

    async def _deactivated(
        self, step: Step, connection: ConnectionCredential, refused: Outcome
    ) -> bool:
        """Mark the connection inactive; return False if its credential was replaced meanwhile.

        If the catalog is unavailable, nothing is marked: the next attempt will be refused too, and
        mark it.
        """
        refusal = Refusal(
            event_id=activity.info().workflow_id, rule=step.rule, response=_response(step, refused)
        )
        return bool(
            await _store(
                self._connections.deactivate(
                    connection.connection,
                    version=connection.version,
                    reason=refused.inactive_reason,
                    refusal=refusal,
                )
            )
        )


def _response(step: Step, outcome: Outcome) -> LastResponse:
    return LastResponse(
        call=step.message.call,
        outcome_code=outcome.code,
        status_code=outcome.status_code,
        message=outcome.message,
    )


async def _store(storing: Awaitable[bool | None]) -> bool | None:
    """Store what an answer means for other tries; None if the catalog can't do it in time.

    The attempt itself is recorded either way.
    """
    try:
        async with asyncio.timeout(STORE_SECONDS):
            return await storing
    except (Unavailable, Missing, TimeoutError):
        return None
    except Exception:
        log.exception("what an answer means could not be stored in the catalog")
        return None


def _throttled(step: Step, attempts: AttemptList, err: Throttled) -> ApplicationError:
    """Make the error of a try that got no permit. It carries the earlier attempts unchanged.

    Its second detail names the connection, for `operations.waiting_tries`.
    """
    message = "waiting for its turn: the connection is used to its limit"
    if err.failing:
        message = "waiting for its turn: the connection only fails, so few requests try it"
    tries = activity.info().attempt
    activity.heartbeat(Carried(tries=tries, attempts=attempts, throttled=True))
    return ApplicationError(
        message,
        StepResult(outcome_code=OutcomeCode.RATE_LIMITED, message=message, attempts=attempts),
        step.connection,
        type=THROTTLED,
        next_retry_delay=timedelta(seconds=err.seconds),
        category=_BENIGN,
    )


def _retry(
    step: Step, outcome: Outcome, attempts: AttemptList, attempt: Attempt
) -> ApplicationError:
    now = datetime.now(UTC)
    delay = retry_delay(
        attempt.number,
        retry_after=outcome.retry_after,
        now=now,
        random=random.random(),  # noqa: S311  spreading waits, not keeping secrets
    )
    if not step.test and now + delay < step.deadline:
        attempt = attempt.model_copy(update={"next_attempt_at": now + delay})
    attempts = attempts.add(attempt)
    activity.heartbeat(Carried(tries=activity.info().attempt, attempts=attempts))
    return ApplicationError(
        outcome.message,
        StepResult.of(attempts),
        type=outcome.code,
        next_retry_delay=delay,
        category=_BENIGN,
    )


def _destination(connection: ConnectionCredential) -> Destination:
    """Return the connection's destination. Raises `ApplicationError` if this release lacks it."""
    if (found := BY_TYPE.get(connection.type)) is None:
        raise unsent(
            f"this worker's release doesn't know the type {connection.type!r}",
            type="NotFoundError",
        )
    return found


def _held(connection: ConnectionCredential, attempts: AttemptList) -> ApplicationError:
    if connection.status == "paused":
        code, message = OutcomeCode.INTERNAL_ERROR, "held: the connection is paused"
    elif connection.inactive_reason in REFUSALS:
        code, message = OutcomeCode.AUTH_FAILED, f"held: {_refused(connection)}"
    else:
        code, message = OutcomeCode.INTERNAL_ERROR, "held: the connection is inactive"
    return ApplicationError(
        message,
        StepResult(outcome_code=code, message=message, attempts=attempts),
        type=CONNECTION_HELD,
        non_retryable=True,
        category=_BENIGN,
    )


def _refused(connection: ConnectionCredential) -> str:
    destination, reason = _destination(connection), connection.inactive_reason
    if reason is None or reason == "authentication_invalid":
        return destination.refused
    return f"{destination.label} {REFUSALS[reason]}"


def _explained(outcome: Outcome, destination: Destination) -> Outcome:
    """Add what the answer complains about, unless it accepts the message."""
    if outcome.then is Then.DONE:
        return outcome
    said = destination.complaint(outcome.response_excerpt)
    return replace(outcome, error_code=said.code, error_field=said.field)


def _not_sent(code: str, message: str, then: Then = Then.RETRY) -> Outcome:
    return Outcome(
        code=OutcomeCode.INTERNAL_ERROR,
        then=then,
        message=message,
        error_code=code,
        request_made=False,
    )
