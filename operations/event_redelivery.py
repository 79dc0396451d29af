"""Redeliver a failed event: start a new run under the same workflow id for what failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.common import (
    Priority,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from delivery import search_attributes as names
from delivery.result import Status
from emitonce.codec import encrypts
from emitonce.start import fairness, json_input
from engine.search_attributes import is_unregistered
from eventlog.fetch import describe_event, fetch_run, while_others_run
from eventlog.history import PERSON, read_history
from eventlog.listed_event import status_of_run
from eventlog.log import EventLog, log_of
from eventlog.memo import read_memo
from operations.redelivery_plan import NotRedeliverable, plan_redelivery, redelivered_input

# The memo in which a run names the bulk redelivery that started it.
MARK = "redelivery"


class Redelivered(NotRedeliverable):
    """The event was redelivered after the given run. `mark` names the bulk redelivery, if any."""

    def __init__(self, run_id: str, mark: str | None) -> None:
        super().__init__("the event was redelivered since")
        self.run_id = run_id
        self.mark = mark


async def redeliver(
    client: Client,
    event_id: str,
    *,
    rules: Sequence[str] | None = None,
    connection: str | None = None,
    reason: str | None = None,
    latest_run: str | None = None,
    mark: str | None = None,
) -> str:
    """Redeliver an event's failed deliveries, or only those of `rules`; return the new run's id.

    The messages have the same ids as before, so what did arrive is not counted twice. They use the
    current mappings and credentials, and the new run has 72 hours of its own. `connection` selects
    only what failed there, and `reason`, a `Reason.key`, only what failed there for it. With
    `latest_run`, the event is redelivered only if that still is its latest run. `mark` goes into
    the new run's memo.

    Raises:
        EventNotFound: the event does not exist, or is past its retention.
        NotRedeliverable: nothing has failed, the event is still open or can't be read, or one of
            `rules` has no failed delivery. The message says which.
        Redelivered: there is a later run than `latest_run`.
    """
    described = await describe_event(client, event_id)
    memo = await read_memo(described)
    if latest_run not in (None, described.run_id):
        raise Redelivered(described.run_id, memo.get(MARK))
    history, pending = await fetch_run(client, described)

    def prepared() -> tuple[EventLog, bytes]:
        facts = read_history(history, pending)
        log = log_of(described.id, described.run_id, facts)
        chosen = rules
        if connection is not None:
            failed = plan_redelivery(log, facts, rules).rules
            chosen = _failed_at(connection, reason, log, failed)
        return log, redelivered_input(log, facts, plan_redelivery(log, facts, chosen))

    log, data = await while_others_run(history, prepared)
    listing = _listing(described, log, mark)
    turn = fairness(log.workspace or "", log.event or "")
    if mark is not None:
        memo |= {MARK: mark}
    if not encrypts(client):
        memo.pop(PERSON, None)
    try:
        return await _start(client, described, data, memo, listing, turn)
    except RPCError as err:
        if not is_unregistered(err, names.REDELIVERY):
            raise
        listing = TypedSearchAttributes([one for one in listing if one.key != names.REDELIVERY])
        return await _start(client, described, data, memo, listing, turn)


async def _start(
    client: Client,
    described: WorkflowExecutionDescription,
    data: bytes,
    memo: Mapping[str, Any],
    listing: TypedSearchAttributes,
    turn: Priority,
) -> str:
    try:
        # The server itself refuses it while a run is open or when one has completed.
        started = await client.start_workflow(
            "DeliverEvent",
            json_input(data),
            id=described.id,
            task_queue=described.task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            memo=memo,
            search_attributes=listing,
            static_summary=await described.static_summary(),
            priority=turn,
        )
    except WorkflowAlreadyStartedError:
        raise NotRedeliverable("the event was redelivered by someone else just now") from None
    assert started.result_run_id is not None
    return started.result_run_id


def _failed_at(
    connection: str, reason: str | None, log: EventLog, failed: Sequence[str]
) -> list[str]:
    there = [d for d in log.deliveries if d.rule in failed and d.connection == connection]
    if not there:
        raise NotRedeliverable("no delivery of this event has failed at that connection")
    if reason is not None:
        there = [d for d in there if d.reason is not None and d.reason.key == reason]
    if not there:
        raise NotRedeliverable("no delivery of this event has failed there for that reason")
    return [delivery.rule for delivery in there]


def _listing(
    described: WorkflowExecutionDescription, log: EventLog, mark: str | None
) -> TypedSearchAttributes:
    """Copy the earlier run's search attributes, without its state, and mark what is superseded.

    A run that has ended can't be changed, so the run that supersedes it has the mark.
    """
    present = described.typed_search_attributes
    pairs: list[SearchAttributePair[Any]] = [
        pair
        for pair in present
        if pair.key in names.ALL
        and pair.key not in (names.STATE, names.ACCEPTED_AT, names.REDELIVERY, names.REASON)
    ]
    pairs.append(SearchAttributePair(names.ACCEPTED_AT, log.accepted_at))
    failed = status_of_run(described) is Status.FAILED
    after = names.AFTER_FAILED if failed else names.AFTER_CANCELED
    pairs.append(SearchAttributePair(names.REDELIVERY, names.redelivery_mark(after, mark)))
    if log.test:
        pairs.append(SearchAttributePair(names.STATE, names.TEST))
    return TypedSearchAttributes(pairs)
