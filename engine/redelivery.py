"""Redeliver a failed event: a new run under the same workflow id, for what has failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.common import (
    RawValue,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError

from delivery import search_attributes as names
from delivery.history import read_history
from delivery.log import EventLog, delivery_log
from delivery.redelivery_plan import NotRedeliverable, plan_redelivery, redelivered_input
from engine.event_log import describe_event

__all__ = ["NotRedeliverable", "redeliver"]


async def redeliver(client: Client, event_id: str, *, rules: Sequence[str] | None = None) -> str:
    """Deliver again what has failed of an event, or of `rules` alone; returns the new run's id.

    The messages carry the same ids as before, so what did arrive is not counted twice. Today's
    mappings and credentials are used. The new run has 72 hours of its own.

    Raises:
        EventNotFound: no such event, or past its retention.
        NotRedeliverable: nothing of it has failed, it is still being delivered, or it can't be
            read; or one of `rules` has no failed delivery. The message says which.
    """
    described = await describe_event(client, event_id)
    handle = client.get_workflow_handle(described.id, run_id=described.run_id)
    history = (await handle.fetch_history()).events
    pending = described.raw_description.pending_activities
    facts = read_history(history, pending)
    log = delivery_log(described.id, described.run_id, history, pending)
    redelivery = plan_redelivery(log, facts, rules)
    data = redelivered_input(log, facts, redelivery)
    try:
        # The server itself refuses it while a run is open and once one has completed.
        started = await client.start_workflow(
            "DeliverEvent",
            RawValue(Payload(metadata={"encoding": b"json/plain"}, data=data)),
            id=described.id,
            task_queue=described.task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            memo=dict(await described.memo()),
            search_attributes=_listing(described, log),
            static_summary=await described.static_summary(),
        )
    except WorkflowAlreadyStartedError:
        raise NotRedeliverable("the event was redelivered by someone else just now") from None
    assert started.result_run_id is not None
    return started.result_run_id


def _listing(described: WorkflowExecutionDescription, log: EventLog) -> TypedSearchAttributes:
    """As the earlier run stood in lists, but neither held nor canceled."""
    present = described.typed_search_attributes
    pairs: list[SearchAttributePair[Any]] = [
        pair
        for pair in present
        if pair.key in names.ALL and pair.key not in (names.STATE, names.ACCEPTED_AT)
    ]
    pairs.append(SearchAttributePair(names.ACCEPTED_AT, log.accepted_at))
    if log.test:
        pairs.append(SearchAttributePair(names.STATE, names.TEST))
    return TypedSearchAttributes(pairs)
