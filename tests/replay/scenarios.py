"""What can become of an event, each brought about for real; the runs' histories are recorded."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from pydantic import SecretStr
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle

from catalog.errors import CatalogUnavailable
from delivery.mapping_schema import MappedField, MappingSchema, PathSource, ToTime
from delivery.rule import MatchRequest, MatchResult
from delivery.selection import select
from delivery.size import MOST_VALUES
from destinations.customerio.build import DEFAULT_MAPPING
from destinations.customerio.simulator import EU_KEY, US_KEY, Fault
from destinations.registry import FIRST_RELEASE, this_release
from emitonce import Emitter
from operations.alert_watch import start_watch
from operations.bulk_redelivery import plan_redelivery, start_redelivery, watch_redelivery
from operations.event_redelivery import redeliver
from operations.steering import bring_forward, cancel_delivery, cancel_event, resume_connection
from tests.integration.stack import (
    SAMPLE,
    SECRET,
    Stack,
    eventually,
    is_held,
    waits,
)
from tests.operations.alert_receiver import SECRET as ALERT_SECRET
from tests.operations.alert_receiver import Receiver, open_receiver
from tests.replay.recorded import Recorded, Scenario, ended
from tests.replay.vendor_scenarios import AT_VENDORS
from workflows.deliver_event import BUILT_IN_A_TASK

REFUSED = Fault(status=400, body='{"meta":{"errors":["userId is required"]}}')
BUSY = Fault(status=503)
LATER = Fault(status=503, headers={"Retry-After": "600"})
WRONG_KEY = "not-the-key"
WITH_A_DAY = MappingSchema(
    fields=(
        *DEFAULT_MAPPING.fields,
        MappedField(
            dest="day",
            source=PathSource(type="path", value="signed_up"),
            transforms=(ToTime(type="to_date", timezone="Europe/Berlin"),),
        ),
    )
)

WITH_A_NESTED_ID = MappingSchema(
    fields=(MappedField(dest="userId", source=PathSource(type="path", value="user.id")),)
)


async def delivered(stack: Stack) -> Recorded:
    await stack.rule(override="Signed Up")
    handle = await stack.emit(resource_id="prj_1")
    await handle.result()
    return {"delivered": handle.id}


async def started_by_a_plain_client(stack: Stack) -> Recorded:
    await stack.rule()
    run = await stack.client.start_workflow(
        "DeliverEvent",
        {"workspace": stack.workspace, "event": "user.signup", "payload": SAMPLE},
        id=str(uuid.uuid4()),
        task_queue=stack.task_queue,
    )
    await run.result()
    return {"started_by_a_plain_client": run.id}


async def retried(stack: Stack) -> Recorded:
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=503), times=2)
    stack.sim.fail("track", fault=Fault(kind="reset_after_store"), times=1)
    handle = await stack.emit()
    await handle.result()
    return {"retried": handle.id}


async def brought_forward(stack: Stack) -> Recorded:
    rule = await stack.rule()
    stack.sim.fail("identify", fault=LATER, times=1)
    handle = await stack.emit()
    await stack.log_when(handle, waits)
    await bring_forward(stack.client, handle.id, rule.id, task_queue=stack.task_queue)
    await handle.result()
    return {"brought_forward": f"bring-forward-{handle.id}-{rule.id}"}


async def catalog_away(stack: Stack) -> Recorded:
    """Its local look-up of rules fails, and an ordinary activity takes over."""
    await stack.rule()
    lookup = stack.catalog.rule_lookup
    match, failed = lookup.match, []

    async def failing_once(request: MatchRequest) -> MatchResult:
        if not failed:
            failed.append(request)
            raise CatalogUnavailable("the database is starting up")
        return await match(request)

    lookup.match = failing_once  # type: ignore[method-assign]
    handle = await stack.emit()
    await handle.result()
    return {"catalog_away": handle.id}


async def identify_failed(stack: Stack) -> Recorded:
    await stack.rule()
    stack.sim.fail("identify", fault=REFUSED)
    return {"identify_failed": await ended(stack, await stack.emit())}


async def track_failed(stack: Stack) -> Recorded:
    await stack.rule()
    stack.sim.fail("track", fault=REFUSED)
    return {"track_failed": await ended(stack, await stack.emit())}


async def failed_for_reasons(stack: Stack) -> Recorded:
    """Two reasons in one run, which upserts them just before it fails."""
    await stack.rule(await stack.connection("US"))
    await stack.rule(await stack.connection("EU", api_key=EU_KEY, region="eu"))
    stack.sim.fail("identify", fault=REFUSED, region="us")
    stack.sim.fail("track", fault=Fault(status=400), region="eu")
    return {"failed_for_reasons": await ended(stack, await stack.emit())}


async def mapping_error(stack: Stack) -> Recorded:
    await stack.rule(event="User Deleted")
    return {"mapping_error": await ended(stack, await stack.emit("User Deleted"))}


async def no_rule(stack: Stack) -> Recorded:
    return {"no_rule": await ended(stack, await stack.emit())}


async def invalid_event(stack: Stack) -> Recorded:
    return {"invalid_event": await ended(stack, await stack.emit(""))}


async def two_rules_of_which_one_failed(stack: Stack) -> Recorded:
    await stack.rule(await stack.connection("US"))
    await stack.rule(await stack.connection("EU", api_key=EU_KEY, region="eu"))
    stack.sim.fail("track", fault=REFUSED, region="us")
    return {"two_rules_of_which_one_failed": await ended(stack, await stack.emit())}


async def canceled(stack: Stack) -> Recorded:
    await stack.rule()
    stack.sim.fail("track", fault=LATER)
    handle = await stack.emit()
    await stack.log_when(handle, waits)
    await cancel_event(stack.client, handle.id)
    return {"canceled": await ended(stack, handle)}


async def canceled_in_flight(stack: Stack) -> Recorded:
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(delay=1))
    handle = await stack.emit()
    await stack.sim.until(lambda: len(stack.calls()) == 1)
    await cancel_event(stack.client, handle.id)
    return {"canceled_in_flight": await ended(stack, handle)}


async def one_delivery_canceled(stack: Stack) -> Recorded:
    rule = await stack.rule(await stack.connection("US"))
    await stack.rule(await stack.connection("EU", api_key=EU_KEY, region="eu"))
    stack.sim.fail("identify", fault=LATER, region="us")
    handle = await stack.emit()
    await stack.log_when(handle, lambda log: waits(log) and log.completed_count == 1)
    await cancel_delivery(stack.client, handle.id, rule.id)
    return {"one_delivery_canceled": await ended(stack, handle)}


async def held_and_resumed(stack: Stack) -> Recorded:
    connection = await stack.connection(api_key=WRONG_KEY)
    await stack.rule(connection)
    handle = await stack.emit()
    await stack.log_when(handle, is_held)
    await stack.catalog.connections.update(
        stack.organization, connection.id, fields={"cdpApiKey": US_KEY}
    )
    resuming = await resume_connection(stack.client, connection.id, task_queue=stack.task_queue)
    await handle.result()
    await stack.client.get_workflow_handle(resuming).result()
    return {"held_and_resumed": handle.id, "resume_connection": resuming}


async def canceled_while_held(stack: Stack) -> Recorded:
    connection = await stack.connection()
    await stack.rule(connection)
    await stack.catalog.connections.pause(stack.organization, connection.id)
    handle = await stack.emit()
    await stack.log_when(handle, is_held)
    await cancel_event(stack.client, handle.id)
    return {"canceled_while_held": await ended(stack, handle)}


async def redelivered(stack: Stack) -> Recorded:
    await stack.rule(await stack.connection("US"))
    await stack.rule(await stack.connection("EU", api_key=EU_KEY, region="eu"))
    stack.sim.fail("track", fault=REFUSED, times=1, region="us")
    handle = await stack.emit()
    await stack.ended(handle)
    await redeliver(stack.client, handle.id)
    await handle.result()
    return {"redelivered": handle.id}


async def redelivered_across_builds(stack: Stack) -> Recorded:
    """Identify was sent by the first build and is sent so again; track never was."""
    stack.fleet = FIRST_RELEASE
    await stack.rule()
    stack.sim.fail("identify", fault=REFUSED, times=1)
    handle = await stack.emit()
    await stack.ended(handle)
    stack.fleet = this_release()
    await redeliver(stack.client, handle.id)
    await handle.result()
    return {"redelivered_across_builds": handle.id}


async def checked_identity(stack: Stack) -> Recorded:
    """All that the second build reads more closely, and a day in a time zone."""
    connection = await stack.connection()
    await stack.rule(connection, override="Application Opened")
    await stack.catalog.mappings.put_default(
        stack.organization,
        connection.id,
        schema=WITH_A_DAY,
    )
    payload = {
        **SAMPLE,
        "userId": " usr_2048 ",
        "email": "none",
        "signed_up": "2026-11-23T23:30:00Z",
        "unsubscribed": "yes",
    }
    handle = await stack.emit(payload=payload)
    await handle.result()
    return {"checked_identity": handle.id}


async def event_properties(stack: Stack) -> Recorded:
    """One rule has the event carry the payload, the other two of its keys; the vendor's own go."""
    payload = {**SAMPLE, "total": 49.9, "currency": "EUR", "recipient": "test@example.com"}
    for name, properties in (("US", "payload"), ("More", ["total", "coupon"])):
        await stack.rule(await stack.connection(name), track_properties=properties)
    handle = await stack.emit(payload=payload)
    await handle.result()
    return {"event_properties": handle.id}


async def event_to_try_a_rule(stack: Stack) -> Recorded:
    rule = await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=503))
    return {
        "event_to_try_a_rule": await ended(stack, await stack.emit(only_rules=[rule.id], test=True))
    }


async def redelivered_in_bulk(stack: Stack) -> Recorded:
    await stack.rule()
    stack.sim.fail("identify", fault=REFUSED, times=2)
    for handle in [await stack.emit(), await stack.emit()]:
        await stack.ended(handle)
    now = datetime.now(UTC)
    selection = select(stack.workspace, accepted_from=now - timedelta(hours=1), now=now)

    async def listed() -> bool:
        return (await plan_redelivery(stack.client, selection)).matched == 2

    await eventually(listed)
    plan = await plan_redelivery(stack.client, selection)
    started = await start_redelivery(stack.client, plan, task_queue=stack.task_queue)
    async with asyncio.timeout(60):
        async for _ in watch_redelivery(stack.client, started.id):
            pass
    return {"redelivered_in_bulk": f"redeliver-{started.id}"}


async def large_event(stack: Stack) -> Recorded:
    """So large that its twelve deliveries are built in two portions, a timer between them."""
    for number in range(12):
        connection = await stack.connection(f"Connection {number}")
        await stack.rule(connection, on_limit="drop")
    large = "x" * (BUILT_IN_A_TASK // 11 - 1_000)
    handle = await stack.emit(payload={**SAMPLE, "note": large})
    await handle.result()
    return {"large_event": handle.id}


async def found_by_person(stack: Stack) -> Recorded:
    """Started by a plain client, so it is the worker who hashes the person, whom a mapping names.

    Of the second one it does so in a second look-up, since the event is intricate.
    """
    connection = await stack.connection()
    await stack.catalog.mappings.put_default(
        stack.organization, connection.id, schema=WITH_A_NESTED_ID
    )
    await stack.rule(connection, on_limit="drop")
    recorded = {}
    for name, lists in (("found_by_person", 0), ("found_by_person_intricate", MOST_VALUES - 4)):
        payload = {"user": {"id": "usr_2048"}, "lists": [[]] * lists}
        run = await stack.client.start_workflow(
            "DeliverEvent",
            {"workspace": stack.workspace, "event": "user.signup", "payload": payload},
            id=str(uuid.uuid4()),
            task_queue=stack.task_queue,
        )
        await run.result()
        recorded[name] = run.id
    return recorded


async def too_large_event(stack: Stack) -> Recorded:
    """Started by a plain client, which counts nothing: the workflow refuses it by its own count."""
    await stack.rule(on_limit="drop")
    payload = {**SAMPLE, "lists": [[]] * MOST_VALUES}
    run = await stack.client.start_workflow(
        "DeliverEvent",
        {"workspace": stack.workspace, "event": "user.signup", "payload": payload},
        id=str(uuid.uuid4()),
        task_queue=stack.task_queue,
    )
    return {"too_large_event": await ended(stack, stack.emitter.get(run.id))}


async def watch_deliveries(stack: Stack) -> Recorded:
    """A delivery that failed is reported while the watch goes on; then it is terminated."""
    async with open_receiver() as receiver, _watching(stack, receiver) as watched:
        watch = f"watch-{watched.task_queue}"
        await start_watch(watched.client, watched.task_queue)
        await watched.rule()
        watched.sim.fail("identify", fault=REFUSED, times=1)
        await watched.ended(await watched.emit())
        await receiver.until("delivery.failed")
        run = watched.client.get_workflow_handle(watch)
        looks = await _looks(run)

        async def looked_again() -> bool:
            return await _looks(run) > looks

        await eventually(looked_again)
        await run.terminate()
    return {
        "watch_deliveries": watch,
        "send_alert": f"alert-{receiver.of('delivery.failed')[0]['id']}",
    }


async def watch_without_a_url(stack: Stack) -> Recorded:
    """Nobody is to be told, so it ends; at once, not after five minutes."""
    run = stack.client.get_workflow_handle(f"watch-{stack.task_queue}")
    with patch("activities.find_alerts.NOBODY_AFTER", timedelta(0)):
        await start_watch(stack.client, stack.task_queue)
        await run.result()
    return {"watch_without_a_url": run.id}


@asynccontextmanager
async def _watching(stack: Stack, receiver: Receiver) -> AsyncIterator[Stack]:
    """The stack on a task queue of its own, whose one worker sends alerts."""
    queue = f"watched-{stack.task_queue}"
    settings = stack.settings.model_copy(
        update={
            "task_queue": queue,
            "alert_every_seconds": 0.5,
            "alert_url": SecretStr(receiver.url),
            "alert_secret": SecretStr(ALERT_SECRET),
        }
    )
    emitter = Emitter(stack.client, instance_secret=SECRET, task_queue=queue)
    watched = replace(stack, emitter=emitter, settings=settings)
    async with watched.make_worker():
        yield watched


async def _looks(run: WorkflowHandle[Any, Any]) -> int:
    scheduled = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    return sum(event.event_type == scheduled for event in (await run.fetch_history()).events)


SCENARIOS: tuple[Scenario, ...] = (
    delivered,
    started_by_a_plain_client,
    retried,
    brought_forward,
    catalog_away,
    identify_failed,
    track_failed,
    failed_for_reasons,
    mapping_error,
    no_rule,
    invalid_event,
    two_rules_of_which_one_failed,
    canceled,
    canceled_in_flight,
    one_delivery_canceled,
    held_and_resumed,
    canceled_while_held,
    redelivered,
    redelivered_across_builds,
    checked_identity,
    event_properties,
    event_to_try_a_rule,
    redelivered_in_bulk,
    large_event,
    found_by_person,
    too_large_event,
    *AT_VENDORS,
    watch_deliveries,
    watch_without_a_url,
)
