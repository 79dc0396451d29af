"""Match an event with rules; for each rule, identify the person, then track the event."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.match_rules import MATCH_RULES, MATCH_RULES_LOCALLY, MatchRules
    from delivery import search_attributes, signals
    from delivery.errors import EventTooLarge, InvalidEvent
    from delivery.event import Event, read_event, read_without_payload
    from delivery.failures import failures_of, write_failures
    from delivery.outcome import DELIVERY_DEADLINE
    from delivery.people import PEOPLE
    from delivery.reason import REASON
    from delivery.result import DeliveryResult, EventResult, Status
    from delivery.rule import MatchRequest, MatchResult
    from delivery.size import check_input, check_payload_size, is_small
    from delivery.step import HEARTBEATS
    from destinations.registry import this_release, with_types_and_builds
    from workflows.attribute_updates import attribute_updates
    from workflows.delivery import Delivery
    from workflows.holds import Holds


# A workflow task that computes for more than two seconds counts as deadlocked and is retried
# forever. Building messages from this many bytes, counted once for each rule, takes half a second
# at most.
BUILT_AT_ONCE = 1024 * 1024
# The same for events within the limits of size: two of the largest, about 80 ms.
BUILT_IN_A_TASK = 512 * 1024
BETWEEN = timedelta(milliseconds=1)


@workflow.defn(name="DeliverEvent")
class DeliverEvent:
    """Delivers one event. The workflow id is the event's id; the history is the delivery log."""

    def __init__(self) -> None:
        self._deliveries: dict[str, Delivery] = {}
        self._settled: set[str] = set()
        self._holds = Holds(on_change=_mark_held)
        self._kept = signals.KeepAttempts()

    @workflow.run
    async def run(self, raw: RawValue) -> EventResult:
        """Deliver the event in `raw`, one JSON object, to every rule it matches.

        Raises:
            ApplicationError: `InvalidEvent` when the input can't be read; `DeliveryFailed`, with
                the `EventResult` as its details, when any delivery failed.
        """
        small = is_small(raw.payload.data)
        event = _read(raw, with_payload=small)
        matched = await _match(event, with_payload=small)
        if not small:
            event = _read_large(raw, event, matched)
        if matched.people is None and PEOPLE in matched.features:
            matched = await _with_people(event, matched)
        _list(event, matched)
        result = await self._deliver(event, matched, at_once=_at_once(raw, matched))
        if result.status is Status.CANCELED:
            workflow.upsert_search_attributes(
                [search_attributes.STATE.value_set(search_attributes.CANCELED)]
            )
        await workflow.wait_condition(workflow.all_handlers_finished)
        if result.status is Status.FAILED:
            if REASON in matched.features:
                _say_why(result)
            raise ApplicationError(
                f"{result.failed_count} of {result.total_rules} deliveries failed",
                result,
                type="DeliveryFailed",
                non_retryable=True,
            )
        return result

    async def _deliver(self, event: Event, matched: MatchResult, *, at_once: int) -> EventResult:
        """Run the deliveries side by side, each isolated from the others.

        The result of a redelivery includes the deliveries that earlier runs made.
        """
        deadline = workflow.info().workflow_start_time + DELIVERY_DEADLINE
        earlier = event.redelivery
        for rule in matched.rules:
            self._deliveries[rule.id] = Delivery(
                event,
                rule,
                deadline,
                self._holds,
                earlier.of(rule.id) if earlier else None,
                heartbeats=HEARTBEATS in matched.features,
            )
        if earlier is not None:
            self._settled = {log.rule for log in earlier.earlier} - set(self._deliveries)
        tasks: list[asyncio.Task[DeliveryResult]] = []
        try:
            await self._start_deliveries(tasks, at_once)
            if tasks:
                await workflow.wait(tasks)
        except asyncio.CancelledError:
            for delivery in self._deliveries.values():
                delivery.keep(self._kept.attempts)
                delivery.cancel()
            await self._start_deliveries(tasks, len(self._deliveries))  # each ends as canceled
            await workflow.wait(tasks)
            raise
        results = {rule: task.result() for rule, task in zip(self._deliveries, tasks, strict=True)}
        if earlier is None:
            return EventResult.of(event.id, tuple(results.values()))
        return EventResult.of(event.id, earlier.complete(results, lambda log: log.result))

    async def _start_deliveries(
        self, tasks: list[asyncio.Task[DeliveryResult]], at_once: int
    ) -> None:
        """Start the deliveries that `tasks` lacks, at most `at_once` in a workflow task."""
        for number, delivery in enumerate(self._deliveries.values()):
            if number < len(tasks):
                continue
            if number and number % at_once == 0:
                await workflow.sleep(BETWEEN, summary="a large event: a few rules at a time")
            tasks.append(delivery.start())

    @workflow.signal(name=signals.CONNECTION_RESUMED)
    def connection_resumed(self, connection: str) -> None:
        """Continue the deliveries that were held for this connection."""
        self._holds.resume(connection)

    @workflow.signal(name=signals.KEEP_ATTEMPTS)
    def keep_attempts(self, kept: signals.KeepAttempts) -> None:
        """Remember attempts. Sent before the run is canceled, so that they stay on record."""
        self._kept = kept

    @workflow.update(name=signals.CANCEL_DELIVERY)
    async def cancel_delivery(self, request: signals.CancelDelivery) -> DeliveryResult:
        """Cancel one rule's delivery and return how it ended."""
        delivery = self._deliveries[request.rule]
        delivery.keep(request.attempts)
        delivery.cancel()
        await workflow.wait_condition(lambda: delivery.result is not None)
        assert delivery.result is not None
        return delivery.result

    @cancel_delivery.validator
    def _can_cancel(self, request: signals.CancelDelivery) -> None:
        delivery = self._deliveries.get(request.rule)
        if request.rule in self._settled or (delivery and delivery.result):
            raise ApplicationError("this delivery has already ended", type="AlreadyEnded")
        if delivery is None:
            raise ApplicationError("no delivery of this event is for that rule", type="NotFound")


def _read(raw: RawValue, *, with_payload: bool) -> Event:
    """Read the event from the argument. What can't be read fails the run, not the workflow task.

    A large payload is slow to read and may be refused, so it is left out at first.
    """
    encoding = raw.payload.metadata.get("encoding", b"").decode(errors="replace")
    read = read_event if with_payload else read_without_payload
    try:
        if encoding != "json/plain":
            raise InvalidEvent("input", "is not JSON; send one JSON object as json/plain")
        event = read(
            raw.payload.data,
            event_id=workflow.info().workflow_id,
            started_at=workflow.info().workflow_start_time,
        )
    except InvalidEvent as err:
        raise _invalid(err) from None
    return with_types_and_builds(event)


def _read_large(raw: RawValue, event: Event, matched: MatchResult) -> Event:
    """Read the whole event, unless the limits of size apply to it and it exceeds them."""
    accepted_at = workflow.info().workflow_start_time
    if event.redelivery is not None:
        accepted_at = event.redelivery.accepted_at
    limited = matched.limited_since is not None and accepted_at >= matched.limited_since
    try:
        if limited and event.redelivery is None:
            check_input(raw.payload.data)
        event = _read(raw, with_payload=True)
        if limited:
            check_payload_size(event.payload)
    except EventTooLarge as err:
        _list(event, matched.model_copy(update={"rules": ()}))  # so that its workspace lists it
        raise _invalid(err) from None
    return event


def _at_once(raw: RawValue, matched: MatchResult) -> int:
    """Return how many deliveries of this event may be started in one workflow task."""
    limited = matched.limited_since is not None
    most = BUILT_IN_A_TASK if limited else BUILT_AT_ONCE
    return max(1, most // max(1, len(raw.payload.data)))


def _invalid(err: InvalidEvent) -> ApplicationError:
    return ApplicationError(
        str(err),
        {"field": err.field, "reason": err.reason},
        type="InvalidEvent",
        non_retryable=True,
    )


def _request(event: Event) -> MatchRequest:
    again = event.redelivery.rules if event.redelivery else ()
    return MatchRequest(
        workspace=event.workspace,
        event=event.event,
        resource=event.resource,
        resource_id=event.resource_id,
        only_rules=again or event.only_rules,
        source=event.source,
        exact=bool(again) or event.test,
    )


async def _match_locally(request: MatchRequest) -> MatchResult:
    return await workflow.execute_local_activity_method(
        MatchRules.match_rules,
        request,
        schedule_to_close_timeout=MATCH_RULES_LOCALLY.schedule_to_close,
        retry_policy=MATCH_RULES_LOCALLY.retry,
    )


async def _with_people(event: Event, matched: MatchResult) -> MatchResult:
    """Add who the event is about, which needs its payload. It was matched without if it is large,
    or the catalog was unavailable. The rules stay as they were matched.
    """
    try:
        again = await _match_locally(_request(event).model_copy(update={"payload": event.payload}))
    except (ActivityError, ApplicationError) as err:
        if is_cancelled_exception(err):
            raise
        return matched  # then it is found by what its starter has set
    return matched.model_copy(update={"people": again.people})


async def _match(event: Event, *, with_payload: bool) -> MatchResult:
    request = _request(event)
    try:
        payload = event.payload if with_payload else None
        matched = await _match_locally(request.model_copy(update={"payload": payload}))
    except (ActivityError, ApplicationError) as err:
        # An error of a local activity arrives without an `ActivityError` around it.
        if is_cancelled_exception(err):
            raise
        matched = await workflow.execute_activity_method(
            MatchRules.match_rules,
            request,
            start_to_close_timeout=MATCH_RULES.start_to_close,
            retry_policy=MATCH_RULES.retry,
            summary="match rules: the catalog was unavailable",
        )
    this_release().check(matched, event.redelivery.builds if event.redelivery else ())
    if not matched.workspace_known:
        raise _invalid(InvalidEvent("workspace", "is unknown here; check the id"))
    return matched


def _list(event: Event, matched: MatchResult) -> None:
    """Make the run findable: upsert, at most once, the attributes that the starter did not set."""
    info = workflow.info()
    accepted_at = event.redelivery.accepted_at if event.redelivery else info.workflow_start_time
    updates = attribute_updates(event, matched, accepted_at, info.typed_search_attributes)
    if updates:
        workflow.upsert_search_attributes(updates)


def _say_why(result: EventResult) -> None:
    """Make the run findable by why it fails."""
    if failures := failures_of(result):
        reason = search_attributes.REASON
        workflow.upsert_search_attributes([reason.value_set(write_failures(failures))])


def _mark_held(held: bool) -> None:
    state = search_attributes.STATE
    workflow.upsert_search_attributes(
        [state.value_set(search_attributes.HELD) if held else state.value_unset()]
    )
