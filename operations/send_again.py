"""Send a delivered event again, as a new event that names the original."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError

from delivery import search_attributes as names
from delivery.result import Status
from delivery.selection import Mode, Selection
from emitonce.codec import encrypts
from emitonce.start import fairness, json_input
from eventlog.fetch import describe_event, fetch_run, while_others_run
from eventlog.history import PERSON, RunFacts, read_history
from eventlog.log import EventLog, log_of
from eventlog.memo import read_memo
from operations.event_redelivery import MARK
from operations.redelivery_plan import NotRedeliverable, event_fields
from operations.selected_runs import AGAIN_OF

_KEPT = (names.WORKSPACE, names.EVENT, names.RESOURCE, names.RESOURCE_ID, names.PEOPLE)


async def send_again(client: Client, event_id: str, selection: Selection) -> str:
    """Start the new event for the rules that delivered the original; return the new event's id.

    The id is made of selection and original, so the same selection starts it only once.

    Raises:
        EventNotFound: the event does not exist, or is past its retention.
        NotRedeliverable: nothing of it was delivered by what the selection names.
    """
    described = await describe_event(client, event_id)
    history, pending = await fetch_run(client, described)

    def read() -> tuple[EventLog, RunFacts]:
        facts = read_history(history, pending)
        return log_of(described.id, described.run_id, facts), facts

    log, facts = await while_others_run(history, read)
    rules = [
        delivery.rule
        for delivery in log.deliveries
        if delivery.status is Status.COMPLETED
        and selection.connection in (None, delivery.connection)
        and selection.rule in (None, delivery.rule)
    ]
    if not rules or log.payload is None:
        raise NotRedeliverable("nothing of this event was delivered")
    new_id = selection.new_event_id(event_id)
    memo = {AGAIN_OF: event_id, MARK: selection.id}
    if encrypts(client) and (person := (await read_memo(described)).get(PERSON)):
        memo[PERSON] = person
    with suppress(WorkflowAlreadyStartedError):  # an earlier try has started it
        await client.start_workflow(
            "DeliverEvent",
            json_input(_input(log, facts, rules, selection)),
            id=new_id,
            task_queue=described.task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            memo=memo,
            search_attributes=_listing(described, selection),
            static_summary=f"{log.event} (again)",
            priority=fairness(log.workspace or "", log.event or ""),
        )
    return new_id


def _input(log: EventLog, facts: RunFacts, rules: list[str], selection: Selection) -> bytes:
    fields = {
        **event_fields(log, facts),
        "only_rules": rules,
        "identify_only": selection.mode is Mode.IDENTIFY_ONLY,
        AGAIN_OF: log.event_id,
    }
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def _listing(
    described: WorkflowExecutionDescription, selection: Selection
) -> TypedSearchAttributes:
    pairs: list[SearchAttributePair[Any]] = [
        pair for pair in described.typed_search_attributes if pair.key in _KEPT
    ]
    pairs.append(SearchAttributePair(names.ACCEPTED_AT, datetime.now(UTC)))
    mark = names.redelivery_mark(names.SENT_AGAIN, selection.id)
    pairs.append(SearchAttributePair(names.REDELIVERY, mark))
    return TypedSearchAttributes(pairs)
