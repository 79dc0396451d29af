"""Keys reach no other host; secrets and personal data stand nowhere but in the event itself."""

from __future__ import annotations

import json

import pytest

from delivery import search_attributes as names
from destinations.customerio.simulator import US_KEY, Fault
from tests.integration.run_history import fetch_history, history_text, text_beside_messages
from tests.integration.stack import SAMPLE, Stack

PERSONAL = ("test@example.com", "usr_2048", "acct-7781")


@pytest.mark.parametrize("status", [301, 303, 307])
async def test_a_redirect_is_never_followed(stack: Stack, status: int) -> None:
    await stack.rule()
    elsewhere = f"{stack.sim.base_urls['eu']}/identify"
    stack.sim.fail("identify", fault=Fault(status=status, headers={"Location": elsewhere}))
    log = await stack.ended(await stack.emit())
    [request] = stack.calls()  # and so nobody else was shown the Authorization header
    assert request.region == "us"
    assert log.status == "failed"
    assert log.deliveries[0].last_error is not None
    assert "redirect" in log.deliveries[0].last_error


async def test_a_huge_answer_is_cut_and_what_it_echoes_taken_out(stack: Stack) -> None:
    await stack.rule()
    echoed = json.dumps({"error": f"could not process {SAMPLE} with key {US_KEY}"})
    stack.sim.fail("identify", fault=Fault(status=503, body=echoed), times=1)
    stack.sim.fail("identify", fault=Fault(status=400, body=echoed + "x" * 1_000_000))
    handle = await stack.emit()
    log = await stack.ended(handle)

    assert log.deliveries[0].identify is not None
    first, last = log.deliveries[0].identify.attempts
    assert (first.status_code, last.status_code) == (503, 400)
    for attempt in (first, last):
        assert attempt.response_excerpt is not None
        assert attempt.response_excerpt.startswith('{"error": "could not process')
        assert "[redacted]" in attempt.response_excerpt
        assert len(attempt.response_excerpt) <= 2_000
    history = await fetch_history(stack.client, handle.id)
    assert len(history.to_json()) < 60_000

    beside = await text_beside_messages(stack.client, handle.id)
    assert not [secret for secret in (*PERSONAL, US_KEY) if secret in beside]


async def test_the_key_stands_nowhere_in_a_history(stack: Stack) -> None:
    await stack.rule()
    handle = await stack.emit()
    await handle.result()
    text = await history_text(stack.client, handle.id)
    assert "test@example.com" in text  # the event itself is there, so the text is the right one
    assert US_KEY not in text
    assert "Authorization" not in text


async def test_summaries_and_search_attributes_tell_a_reader_what_this_is(stack: Stack) -> None:
    connection = await stack.connection("Marketing")
    rule = await stack.rule(connection, resource="project")
    handle = await stack.emit(resource="project", resource_id="acct-7781")
    await handle.result()
    described = await stack.client.get_workflow_handle(handle.id).describe()
    assert await described.static_summary() == "user.signup"

    attributes = described.typed_search_attributes
    assert attributes[names.WORKSPACE] == stack.workspace
    assert attributes[names.EVENT] == "user.signup"
    assert attributes[names.RESOURCE] == "project"
    assert attributes[names.CONNECTIONS] == [connection.id]
    assert attributes[names.RULES] == [rule.id]
    assert names.ACCEPTED_AT in attributes
    assert len(attributes[names.RESOURCE_ID]) == 32
    shown = str(described.raw_description.workflow_execution_info)
    assert not [value for value in PERSONAL if value in shown]

    history = await fetch_history(stack.client, handle.id)
    summaries = [
        json.loads(event.user_metadata.summary.data)
        for event in history.events
        if event.user_metadata.HasField("summary")
    ]
    assert summaries[1:] == ["identify → Marketing", "track → Marketing"]


async def test_search_attributes_are_completed_for_whoever_sets_none(stack: Stack) -> None:
    connection = await stack.connection()
    rule = await stack.rule(connection)
    event_id = "5f0c6a1e-3c1b-4d7e-9a51-0d6f2b8c7e44"
    await stack.client.execute_workflow(
        "DeliverEvent",
        {
            "workspace": stack.workspace,
            "event": "user.signup",
            "payload": SAMPLE,
            "resource_id": "acct-7781",
        },
        id=event_id,
        task_queue=stack.task_queue,
    )
    described = await stack.client.get_workflow_handle(event_id).describe()
    attributes = described.typed_search_attributes
    assert attributes[names.WORKSPACE] == stack.workspace
    assert attributes[names.EVENT] == "user.signup"
    assert attributes[names.RESOURCE] == "global"
    assert len(attributes[names.RESOURCE_ID]) == 32
    assert attributes[names.CONNECTIONS] == [connection.id]
    assert attributes[names.RULES] == [rule.id]
    assert attributes[names.ACCEPTED_AT] == described.start_time


async def test_the_same_resource_id_is_found_by_the_same_hash_whoever_started(
    stack: Stack,
) -> None:
    by_emitter = await stack.emit(resource_id="acct-7781")
    await by_emitter.result()
    plain = "5f0c6a1e-3c1b-4d7e-9a51-0d6f2b8c7e45"
    await stack.client.execute_workflow(
        "DeliverEvent",
        {
            "workspace": stack.workspace,
            "event": "user.signup",
            "payload": {},
            "resource_id": "acct-7781",
        },
        id=plain,
        task_queue=stack.task_queue,
    )
    hashes = set()
    for event_id in (by_emitter.id, plain):
        described = await stack.client.get_workflow_handle(event_id).describe()
        hashes.add(described.typed_search_attributes[names.RESOURCE_ID])
    assert len(hashes) == 1
