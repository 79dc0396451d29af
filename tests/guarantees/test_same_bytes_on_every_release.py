"""What an event sends is settled when it is matched: upgrades do not change it on the way."""

from __future__ import annotations

from typing import Any

from destinations.customerio.properties import NOT_YET
from destinations.customerio.simulator import Fault, Request
from destinations.registry import FIRST_RELEASE, this_release
from eventlog.log import EventLog
from operations.event_redelivery import redeliver
from operations.steering import resume_connection
from tests.integration.run_history import task_failures
from tests.integration.stack import Stack, is_held

BY_FIRST = {"library": {"name": "emitonce", "version": "0.1.0"}}
BY_SECOND = {"library": {"name": "emitonce"}}


def made(stack: Stack, call: str) -> list[Request]:
    return [request for request in stack.calls() if request.call == call]


def contexts(requests: list[Request]) -> list[Any]:
    return [request.body["context"] for request in requests]


def same_bytes_under_each_message_id(stack: Stack) -> bool:
    bodies: dict[str, set[bytes]] = {}
    for request in stack.calls():
        bodies.setdefault(str(request.body["messageId"]), set()).add(request.raw)
    return all(len(different) == 1 for different in bodies.values())


def builds(log: EventLog) -> list[int | None]:
    [delivery] = log.deliveries
    return [call.build for call in (delivery.identify, delivery.track) if call]


async def test_event_held_across_an_upgrade_is_sent_as_it_was_matched(stack: Stack) -> None:
    stack.fleet = FIRST_RELEASE
    connection = await stack.connection()
    await stack.rule(connection)
    await stack.catalog.connections.pause(stack.organization, connection.id)
    held = await stack.emit()
    await stack.log_when(held, is_held)
    stack.fleet = this_release()
    await stack.catalog.connections.resume(stack.organization, connection.id)
    await resume_connection(stack.client, connection.id, task_queue=stack.task_queue)
    await held.result()
    assert contexts(stack.calls()) == [BY_FIRST, BY_FIRST]
    await (await stack.emit()).result()
    assert contexts(stack.calls()[2:]) == [BY_SECOND, BY_SECOND]
    assert not await task_failures(stack.client, held.id)


async def test_redelivered_call_keeps_its_bytes_and_one_never_sent_takes_the_newest_build(
    stack: Stack,
) -> None:
    stack.fleet = FIRST_RELEASE
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=400), times=2)
    handle = await stack.emit()
    await stack.ended(handle)
    stack.fleet = this_release()
    for _ in range(2):  # the build is handed on from redelivery to redelivery
        await redeliver(stack.client, handle.id)
        log = await stack.ended(handle)
    assert log.status == "completed"
    assert contexts(made(stack, "identify")) == [BY_FIRST] * 3
    assert contexts(made(stack, "track")) == [BY_SECOND]
    assert same_bytes_under_each_message_id(stack)
    assert builds(log) == [1, this_release().newest_build]


async def test_event_carries_properties_once_every_worker_knows_how(stack: Stack) -> None:
    stack.fleet = this_release().model_copy(update={"builds": (1, 2)})
    await stack.rule(track_properties="plan, missing")
    log = await stack.ended(await stack.emit())
    assert log.deliveries[0].warnings == (NOT_YET,)
    stack.fleet = this_release()
    log = await stack.ended(await stack.emit())
    assert log.deliveries[0].warnings == ()
    before, after = stack.sim.events
    assert (before.properties, after.properties) == ({}, {"plan": "pro"})


async def test_event_whose_track_was_sent_is_redelivered_with_both_its_bytes(stack: Stack) -> None:
    stack.fleet = FIRST_RELEASE
    await stack.rule()
    stack.sim.fail("track", fault=Fault(status=400), times=1)
    handle = await stack.emit()
    await stack.ended(handle)
    stack.fleet = this_release()
    await redeliver(stack.client, handle.id)
    await handle.result()
    assert contexts(stack.calls()) == [BY_FIRST] * 4
    assert same_bytes_under_each_message_id(stack)


async def test_event_that_was_held_until_its_end_is_redelivered_by_the_newest_build(
    stack: Stack,
) -> None:
    stack.fleet = FIRST_RELEASE
    connection = await stack.connection()
    await stack.rule(connection)
    await stack.catalog.connections.pause(stack.organization, connection.id)
    handle = await stack.emit()
    await stack.log_when(handle, is_held)
    await stack.client.get_workflow_handle(handle.id).terminate()
    stack.fleet = this_release()
    await stack.catalog.connections.resume(stack.organization, connection.id)
    await redeliver(stack.client, handle.id)
    await handle.result()
    assert contexts(stack.calls()) == [BY_SECOND, BY_SECOND]


async def test_redelivery_names_the_person_whom_its_identify_has_named(stack: Stack) -> None:
    stack.fleet = FIRST_RELEASE
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=400), times=1)
    handle = await stack.emit(payload={"userId": " usr_2048 "})
    await stack.ended(handle)
    stack.fleet = this_release()
    await redeliver(stack.client, handle.id)
    await handle.result()
    assert {request.body["userId"] for request in stack.calls()} == {" usr_2048 "}
    assert same_bytes_under_each_message_id(stack)
