"""Read the log of one of the caller's events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from temporalio.client import Client, WorkflowFailureError

from catalog.embed_sessions import EmbedSession
from catalog.errors import NotFound
from catalog.values import read_id
from delivery.delivery_log import DeliveryLog
from emitonce.start import WORKFLOW
from engine.links import run_url
from eventlog.fetch import EventNotFound, describe_event, read_run_log
from eventlog.log import EventLog
from starter.api.auth import Caller
from starter.api.dependencies import Dependencies
from starter.api.embedding import own_rules
from starter.api.errors import not_found
from starter.json_objects import event_object


@dataclass(frozen=True)
class OwnEvent:
    """An event of the caller's organization."""

    log: EventLog
    open: bool

    def delivery(self, rule_id: str) -> DeliveryLog:
        """Return the delivery for a rule. Raises `ApiError` 404 if there isn't one."""
        for delivery in self.log.deliveries:
            if delivery.rule == rule_id.lower():
                return delivery
        raise not_found("rule_id", "delivery of this event for that rule")


async def read_own_event(parts: Dependencies, caller: Caller, event_id: str) -> OwnEvent:
    """Read the event's latest run. An embedded session for one resource sees only the deliveries
    of rules for that resource.

    Raises:
        ApiError: 404 if the caller has no such event.
    """
    unknown = not_found("event_id", "event")
    if read_id(event_id) is None:
        raise unknown
    try:
        described = await describe_event(parts.client, event_id)
        if described.workflow_type != WORKFLOW:
            raise unknown
        log = await read_run_log(parts.client, described)
        await parts.catalog.api_key_lookup.require_workspace(
            caller.organization or "", log.workspace or ""
        )
    except (EventNotFound, NotFound):
        raise unknown from None
    if caller.session is not None:
        if not _is_within(caller.session, log):
            raise unknown
        if caller.session.only:
            log = await _of_own_rules(parts, caller.session, log)
    return OwnEvent(log, open=described.close_time is None)


def _is_within(session: EmbedSession, log: EventLog) -> bool:
    mine = (log.workspace or "").lower() == session.workspace
    return mine and session.covers(log.resource, log.resource_id)


async def _of_own_rules(parts: Dependencies, session: EmbedSession, log: EventLog) -> EventLog:
    own = {rule.id for rule in await own_rules(parts.catalog, session)}
    return log.only(tuple(one for one in log.deliveries if one.rule in own))


async def wait_for_end(client: Client, log: EventLog, seconds: float) -> None:
    """Wait until the run ends, however it ends, but no longer than `seconds`."""
    run = client.get_workflow_handle(log.event_id, run_id=log.run_id)
    with contextlib.suppress(TimeoutError, WorkflowFailureError):
        async with asyncio.timeout(seconds):
            await run.result()


def event_view(
    parts: Dependencies, caller: Caller, log: EventLog, *, payload: bool = False
) -> Mapping[str, Any]:
    """Write a log as `EventView` describes it; with the payload, as `EventPayloadView`.

    Temporal's Web UI is for those who run it, not for embedded sessions.
    """
    view = event_object(log, payload=payload)
    url = None if caller.session else run_url(parts.ui_url, parts.client, log.event_id)
    if url is not None:
        view["temporal_url"] = url
    return view
