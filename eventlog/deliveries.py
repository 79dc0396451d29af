"""The log of each delivery: what happened to one event at one connection."""

from __future__ import annotations

from pydantic import AwareDatetime

from delivery.attempt import CALLS, AttemptList, Call
from delivery.capabilities import UnknownToThisRelease
from delivery.delivery_log import CallLog, DeliveryLog
from delivery.errors import MappingError
from delivery.event import Event
from delivery.outcome import OutcomeCode
from delivery.reason import Reason
from delivery.redelivery import Redelivery
from delivery.result import DeliveryResult, Status
from delivery.rule import MatchedRule
from delivery.step import activity_id
from destinations.registry import BY_TYPE, action_of, build_messages
from eventlog.history import RunFacts, StepFacts

# For one log, messages are built from this many bytes of input, counted once for each mapping.
BUILT_FOR_A_LOG = 512 * 1024


def deliveries_of(facts: RunFacts, event: Event | None) -> tuple[DeliveryLog, ...]:
    """Return the log of each delivery of a run, in the order of its rules."""
    redelivery = event.redelivery if event else None
    rules = facts.matched.rules if facts.matched else ()
    built = _Built(event, facts.input_size)
    if redelivery is None:
        return tuple(_delivery(facts, event, rule, built) for rule in rules)
    made = {rule.id: _delivery(facts, event, rule, built, redelivery.of(rule.id)) for rule in rules}
    if facts.matched is None:
        return tuple(_awaiting(facts, delivery, redelivery) for delivery in redelivery.earlier)
    return redelivery.complete(made, lambda delivery: delivery)


def _awaiting(facts: RunFacts, delivery: DeliveryLog, redelivery: Redelivery) -> DeliveryLog:
    if delivery.rule not in redelivery.rules or facts.closed is not None:
        return delivery
    return delivery.model_copy(update={"status": Status.PENDING, "completed_at": None})


def _delivery(
    facts: RunFacts,
    event: Event | None,
    rule: MatchedRule,
    built: _Built,
    earlier: DeliveryLog | None = None,
) -> DeliveryLog:
    steps = {call: facts.steps_of(rule.id, call) for call in CALLS}
    latest = next((steps[call][-1] for call in reversed(CALLS) if steps[call]), None)
    ended = _ended_as(facts, rule.id)
    warnings, mapping_error = built.of(rule) if ended is None else (ended.warnings, None)
    if ended is not None:
        status, error = ended.status, ended.error
    elif latest is None:
        status = Status.FAILED if mapping_error else _unless_closed(facts, Status.PENDING)
        error = mapping_error
    else:
        status, error = _unless_closed(facts, _open_status(latest, event, rule)), _error_of(latest)
    if status is Status.CANCELED and latest and latest.end == "canceled":
        error = _canceled_error(facts, latest)
    reason = None
    if status is Status.FAILED:
        reason = (ended and ended.reason) or _reason(rule, error, latest)
    calls = {
        call: _call(facts, scheduled) or (earlier.call(call) if earlier else None)
        for call, scheduled in steps.items()
    }
    started_at = min((made[0].scheduled_at for made in steps.values() if made), default=None)
    return DeliveryLog(
        rule=rule.id,
        connection=rule.connection,
        connection_name=rule.connection_name,
        integration_type=rule.integration_type,
        status=status,
        held=latest.result.message
        if latest and latest.result and latest.end == "held" and status is Status.RETRYING
        else None,
        attempt_count=sum(call.attempt_count for call in calls.values() if call),
        started_at=(earlier.started_at if earlier else None) or started_at,
        completed_at=_completed_at(facts, status, latest),
        last_error=None if status is Status.COMPLETED else error,
        reason=reason,
        warnings=warnings,
        **calls,
    )


class _Built:
    """The warnings or the mapping error of deliveries, while their run is open.

    A delivery that can't be built schedules nothing, so until the run ends, its history says
    nothing about it. Building is pure, so the messages are built again here: once for all rules
    that differ only in ids, and for a large event only for some of them.
    """

    def __init__(self, event: Event | None, input_size: int) -> None:
        self._event = event
        self._left = max(1, BUILT_FOR_A_LOG // max(1, input_size))
        self._known: list[tuple[MatchedRule, tuple[tuple[str, ...], str | None]]] = []

    def of(self, rule: MatchedRule) -> tuple[tuple[str, ...], str | None]:
        if self._event is None:
            return (), None
        alike = rule if self._event.redelivery else rule.model_copy(update=_NO_IDS)
        for known, built in self._known:
            if known == alike:
                return built
        if not self._left:
            return (), None
        self._left -= 1
        built = _built(self._event, rule)
        self._known.append((alike, built))
        return built


_NO_IDS = {"id": "", "connection": "", "connection_name": ""}


def _built(event: Event, rule: MatchedRule) -> tuple[tuple[str, ...], str | None]:
    try:
        return build_messages(event, rule).warnings, None
    except MappingError as err:
        return (), f"{OutcomeCode.MAPPING_ERROR}: {err}"
    except UnknownToThisRelease:
        return (), None


def _ended_as(facts: RunFacts, rule: str) -> DeliveryResult | None:
    deliveries = facts.result.deliveries if facts.result else ()
    return next((delivery for delivery in deliveries if delivery.rule == rule), None)


def _unless_closed(facts: RunFacts, status: Status) -> Status:
    """Return `canceled` for a delivery that was open when its run was ended from outside."""
    if facts.closed is None or status in (Status.COMPLETED, Status.FAILED):
        return status
    return Status.CANCELED


def _open_status(latest: StepFacts, event: Event | None, rule: MatchedRule) -> Status:
    if latest.end == "delivered":
        last_call = "identify" if event and event.identify_only else _last_call(rule)
        return Status.COMPLETED if latest.call == last_call else Status.PROCESSING
    if latest.end == "held":
        return Status.RETRYING
    if latest.end == "canceled":
        return Status.CANCELED
    if latest.end is not None:
        return Status.FAILED
    return Status.RETRYING if latest.attempts.count else Status.PROCESSING


def _last_call(rule: MatchedRule) -> Call | None:
    try:
        return action_of(rule).calls[-1]
    except UnknownToThisRelease:
        return None


def _error_of(latest: StepFacts) -> str | None:
    # Being held is not an error; the last attempt may have ended with one.
    ended = latest.attempts.last if latest.end == "held" else latest.result or latest.attempts.last
    if ended is None or ended.outcome_code is OutcomeCode.DELIVERED:
        return None
    return f"{ended.outcome_code}: {ended.message}"


def _reason(rule: MatchedRule, error: str | None, latest: StepFacts | None) -> Reason | None:
    """Work out why a delivery failed, from its error, while its run has not recorded it."""
    code, _, message = (error or "").partition(": ")
    if code not in set(OutcomeCode):
        return None
    outcome = OutcomeCode(code)
    if outcome is OutcomeCode.MAPPING_ERROR:
        known = BY_TYPE.get(rule.integration_type)
        field = known.own_field(message.partition(": ")[0]) if known else None
        return Reason.of(outcome, field=field)
    return Reason.of_attempts(outcome, latest.attempts if latest else AttemptList())


def _canceled_error(facts: RunFacts, latest: StepFacts) -> str:
    if activity_id(latest.step.rule, latest.call) in facts.kept or latest.attempts.count:
        return "canceled"
    return "canceled; earlier attempts, if there were any, were not kept"


def _completed_at(
    facts: RunFacts, status: Status, latest: StepFacts | None
) -> AwareDatetime | None:
    if not status.ended:
        return None
    return (latest.ended_at if latest else None) or facts.closed_at


def _call(facts: RunFacts, steps: list[StepFacts]) -> CallLog | None:
    """Combine all schedulings of a call: after a hold, the same call is scheduled again."""
    if not steps:
        return None
    latest = steps[-1]
    attempts = _attempts(facts, latest)
    last = attempts.last
    return CallLog(
        call=latest.call,
        request=latest.step.message.body,
        outcome_code=last.outcome_code if last else None,
        status_code=last.status_code if last else None,
        response_excerpt=last.response_excerpt if last else None,
        attempt_count=attempts.count,
        attempts_left_out=attempts.left_out,
        attempts=attempts.kept,
        next_attempt_at=last.next_attempt_at if last and latest.end is None else None,
        in_flight=latest.running and facts.closed is None,
        build=latest.step.message.build,
        never_sent=not attempts.count and all(step.end == "held" for step in steps),
    )


def _attempts(facts: RunFacts, step: StepFacts) -> AttemptList:
    kept = facts.kept.get(activity_id(step.step.rule, step.call))
    if kept is not None and kept.count > step.attempts.count:
        return kept
    return step.attempts
