"""Match an event with rules; for each, identify the person, then track the event."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.match_rules import MATCH_RULES, MATCH_RULES_LOCALLY, MatchRules
    from delivery import search_attributes, steering
    from delivery.errors import EventTooLarge, InvalidEvent
    from delivery.event import Event, read_event, read_without_payload
    from delivery.outcome import DELIVERY_DEADLINE
    from delivery.result import DeliveryResult, EventResult, Status
    from delivery.rule import MatchRequest, MatchResult
    from delivery.size import check_input, check_payload_size, is_small
    from destinations.registry import this_release, with_types_and_builds
    from workflows.connections import Connections
    from workflows.delivery import Delivery
    from workflows.listing import listing_updates


# Code that computes for more than two seconds is taken for hung, and its task tried again for ever.
# Messages of so much input, counted once for each rule, are built in half of one, however odd.
BUILT_AT_ONCE = 1024 * 1024
# Of events held to the limits of size: two of the largest, which take some 80 ms.
BUILT_IN_A_TASK = 512 * 1024
BETWEEN = timedelta(milliseconds=1)


@workflow.defn(name="DeliverEvent")
class DeliverEvent:
    """Delivers one event. The workflow's id is the event's id; its history is the delivery log."""

    def __init__(self) -> None:
        self._deliveries: dict[str, Delivery] = {}
        self._settled: set[str] = set()
        self._connections = Connections(on_change=_mark_held)
        self._kept = steering.KeepAttempts()

    @workflow.run
    async def run(self, raw: RawValue) -> EventResult:
        """Deliver the event in `raw`, one JSON object, to every rule it matches.

        Raises:
            ApplicationError: `InvalidEvent` when the input can't be read; `DeliveryFailed`, with
                the `EventResult` as its details, when any delivery failed.
        """
        small = is_small(raw.payload.data)
        event = _read(raw, with_payload=small)
        matched = await _match(event)
        if not small:
            event = _read_large(raw, event, matched)
        _list(event, matched)
        result = await self._deliver(event, matched, at_once=_at_once(raw, matched))
        if result.status is Status.CANCELED:
            workflow.upsert_search_attributes(
                [search_attributes.STATE.value_set(search_attributes.CANCELED)]
            )
        await workflow.wait_condition(workflow.all_handlers_finished)
        if result.status is Status.FAILED:
            raise ApplicationError(
                f"{result.failed_count} of {result.total_rules} deliveries failed",
                result,
                type="DeliveryFailed",
                non_retryable=True,
            )
        return result

    async def _deliver(self, event: Event, matched: MatchResult, *, at_once: int) -> EventResult:
        """Run the deliveries side by side, each isolated from the others.

        In a redelivered event's result stand those too that earlier runs have made.
        """
        deadline = workflow.info().workflow_start_time + DELIVERY_DEADLINE
        earlier = event.redelivery
        for rule in matched.rules:
            self._deliveries[rule.id] = Delivery(
                event, rule, deadline, self._connections, earlier.of(rule.id) if earlier else None
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
        """Start those that `tasks` lacks; of a large event with many rules, a few at a time."""
        for number, delivery in enumerate(self._deliveries.values()):
            if number < len(tasks):
                continue
            if number and number % at_once == 0:
                await workflow.sleep(BETWEEN, summary="a large event: a few rules at a time")
            tasks.append(delivery.start())

    @workflow.signal(name=steering.CONNECTION_RESUMED)
    def connection_resumed(self, connection: str) -> None:
        """The connection takes deliveries again: those held for it go on."""
        self._connections.resume(connection)

    @workflow.signal(name=steering.KEEP_ATTEMPTS)
    def keep_attempts(self, kept: steering.KeepAttempts) -> None:
        """Sent before the run is canceled, so that earlier attempts stay on record."""
        self._kept = kept

    @workflow.update(name=steering.CANCEL_DELIVERY)
    async def cancel_delivery(self, request: steering.CancelDelivery) -> DeliveryResult:
        """Cancel one rule's delivery and answer with how it ended."""
        delivery = self._deliveries[request.rule]
        delivery.keep(request.attempts)
        delivery.cancel()
        await workflow.wait_condition(lambda: delivery.result is not None)
        assert delivery.result is not None
        return delivery.result

    @cancel_delivery.validator
    def _can_cancel(self, request: steering.CancelDelivery) -> None:
        delivery = self._deliveries.get(request.rule)
        if request.rule in self._settled or (delivery and delivery.result):
            raise ApplicationError("this delivery has already ended", type="AlreadyEnded")
        if delivery is None:
            raise ApplicationError("no delivery of this event is for that rule", type="NotFound")


def _read(raw: RawValue, *, with_payload: bool) -> Event:
    """The event in the one argument; anything else fails the run, never the workflow task.

    A large one may have to be refused, and reading its payload may take a second.
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
    """The whole event, unless it was accepted under the limits of size and is beyond them."""
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
        _list(event, matched.model_copy(update={"rules": ()}))  # to be found in its workspace
        raise _invalid(err) from None
    return event


def _at_once(raw: RawValue, matched: MatchResult) -> int:
    """How many deliveries of this event may be started in one task."""
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


async def _match(event: Event) -> MatchResult:
    again = event.redelivery.rules if event.redelivery else ()
    request = MatchRequest(
        workspace=event.workspace,
        event=event.event,
        resource=event.resource,
        resource_id=event.resource_id,
        only_rules=again or event.only_rules,
        source=event.source,
        exact=bool(again) or event.test,
    )
    try:
        matched = await workflow.execute_local_activity_method(
            MatchRules.match_rules,
            request,
            schedule_to_close_timeout=MATCH_RULES_LOCALLY.schedule_to_close,
            retry_policy=MATCH_RULES_LOCALLY.retry,
        )
    except (ActivityError, ApplicationError) as err:
        # What a local activity raised comes as it is, without an `ActivityError` around it.
        if is_cancelled_exception(err):
            raise
        matched = await workflow.execute_activity_method(
            MatchRules.match_rules,
            request,
            start_to_close_timeout=MATCH_RULES.start_to_close,
            retry_policy=MATCH_RULES.retry,
            summary="match rules: the catalog was away",
        )
    this_release().check(matched, event.redelivery.builds if event.redelivery else ())
    if not matched.workspace_known:
        raise _invalid(InvalidEvent("workspace", "is unknown here; check the id"))
    return matched


def _list(event: Event, matched: MatchResult) -> None:
    """Make the run findable: one upsert at most, of what the starter did not set."""
    info = workflow.info()
    accepted_at = event.redelivery.accepted_at if event.redelivery else info.workflow_start_time
    updates = listing_updates(event, matched, accepted_at, info.typed_search_attributes)
    if updates:
        workflow.upsert_search_attributes(updates)


def _mark_held(held: bool) -> None:
    state = search_attributes.STATE
    workflow.upsert_search_attributes(
        [state.value_set(search_attributes.HELD) if held else state.value_unset()]
    )
