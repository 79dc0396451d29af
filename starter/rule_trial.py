"""Try a rule: preview the requests that it would make of an event, or send a test event.

The command line, the HTTP API and the console all use this module.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from temporalio.client import Client

from catalog import Catalog
from catalog.errors import NotFound
from catalog.rules import Rule
from delivery.event import Event, read_event
from delivery.message import Messages
from delivery.rule import MatchedRule, MatchRequest
from delivery.size import check_payload_size
from destinations.registry import build_messages, unread_metadata
from emitonce import EmitError, EventHandle
from emitonce.start import EventStarter
from eventlog.fetch import read_event_log
from eventlog.log import EventLog

TEST_SECONDS = 30.0

# Of the event that is tried, which is nobody's.
NIL = "00000000-0000-0000-0000-000000000000"


async def stored_rule(catalog: Catalog, rule: Rule) -> MatchedRule:
    """Return the rule with its connection's mapping and the fleet's build, as an event finds it.

    Raises:
        NotFound: it was deleted meanwhile.
    """
    found = await catalog.rule_lookup.match(
        MatchRequest(
            workspace=rule.workspace,
            event=rule.event,
            resource="global",
            only_rules=(rule.id,),
            exact=True,
        )
    )
    if not found.rules:
        raise NotFound("rule", rule.id)
    fleet = await catalog.workers.fleet()
    return found.rules[0].model_copy(update={"build": fleet.newest_build})


def event_to_try(rule: Rule, payload: Mapping[str, Any], **given: str | None) -> Event:
    """Build an event with this payload; what isn't `given` is the rule's.

    Raises:
        InvalidEvent: one of the fields.
    """
    fields = {name: value for name, value in given.items() if value is not None}
    of_rule = {"event": rule.event, "resource": rule.resource, "resource_id": rule.resource_id}
    return unsent_event({**of_rule, **fields, "workspace": rule.workspace, "payload": payload})


def unsent_event(fields: Mapping[str, Any]) -> Event:
    """Read an event from a start input, without starting it.

    Raises:
        InvalidEvent: one of the fields; `EventTooLarge` where it is larger than one may be.
    """
    check_payload_size(fields["payload"])
    return read_event(dict(fields), event_id=NIL, started_at=datetime.now(UTC))


def preview(event: Event, rule: MatchedRule) -> Messages:
    """Return all requests, with every warning that the delivery would carry and those of the rule.

    Raises:
        MappingError: no valid message can be built.
    """
    messages = build_messages(event, rule)
    unread = unread_metadata(rule.integration_type, rule.metadata.model_dump())
    return messages.model_copy(update={"warnings": (*unread, *messages.warnings)})


async def send_test_event(
    starter: EventStarter,
    rule: Rule,
    event: Event,
    *,
    created_by: str,
    timestamp: str | None = None,
) -> EventHandle:
    """Send an event for real, through this rule only, with one attempt a call.

    Raises:
        EmitError: nothing was sent, because the event was not accepted.
    """
    return await starter.start(
        rule.workspace,
        event.event,
        event.payload,
        resource=event.resource,
        resource_id=event.resource_id,
        timestamp=timestamp,
        only_rules=[rule.id],
        test=True,
        created_by=created_by,
    )


async def log_of_test(client: Client, handle: EventHandle) -> EventLog:
    """Wait for a test event's end, but no longer than `TEST_SECONDS`; return the log so far."""
    with contextlib.suppress(TimeoutError, EmitError):  # how it ended is in the log
        async with asyncio.timeout(TEST_SECONDS):
            await handle.result()
    return await read_event_log(client, handle.id)
