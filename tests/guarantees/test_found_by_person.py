"""An event is found by each identifier of its person, and nobody can read whom it is about."""

from __future__ import annotations

import asyncio
import json
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.common import (
    RawValue,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
)
from temporalio.service import RPCError

from catalog.errors import CatalogUnavailable
from catalog.rules import Rule
from delivery import search_attributes as names
from delivery.mapping_schema import MappedField, MappingSchema, PathSource
from delivery.people import PEOPLE
from delivery.result import Status
from delivery.size import LARGEST_PAYLOAD
from destinations.customerio.simulator import Fault
from destinations.registry import this_release
from emitonce.ids import person_hash
from emitonce.key_ring import KeyRing
from engine.connect import connect
from engine.search_attributes import register_search_attributes
from eventlog.event_list import list_events
from eventlog.query import EventQuery, NotSearchable
from operations.event_redelivery import redeliver
from operations.namespace_checks import check_namespace
from tests.integration.stack import SECRET, Stack, eventually, open_stack
from tests.operations.processes import command
from worker import open_worker

NESTED = {"user": {"id": "usr_9", "mail": "Nine@Example.com", "device": "dev-9"}}
BY_PATH = MappingSchema(
    fields=tuple(
        MappedField(dest=dest, source=PathSource(type="path", value=path))
        for dest, path in (
            ("userId", "user.id"),
            ("email", "user.mail"),
            ("anonymousId", "user.device"),
        )
    )
)


async def found(stack: Stack, person: str, *, workspace: str | None = None) -> set[str]:
    workspace = workspace or stack.workspace
    query = EventQuery((workspace,), people=(person_hash(SECRET, workspace, person),))
    page = await list_events(stack.client, query, limit=50)
    return {event.event_id for event in page.events}


async def found_soon(stack: Stack, person: str, expected: set[str]) -> None:
    async def so() -> bool:
        return await found(stack, person) == expected

    await eventually(so)


async def plainly(
    stack: Stack, payload: dict[str, Any], event: str = "user.signup", client: Client | None = None
) -> str:
    """Start it as another SDK would, which knows no secret."""
    run = await (client or stack.client).start_workflow(
        "DeliverEvent",
        {"workspace": stack.workspace, "event": event, "payload": payload},
        id=str(uuid.uuid4()),
        task_queue=stack.task_queue,
    )
    return run.id


async def rule_by_path(stack: Stack) -> Rule:
    connection = await stack.connection("By path")
    await stack.catalog.mappings.put_default(stack.organization, connection.id, schema=BY_PATH)
    return await stack.rule(connection, "by.path")


async def ended(stack: Stack, *ids: str) -> None:
    for id in ids:
        await stack.ended(stack.emitter.get(id))


async def hashes_of(stack: Stack, event_id: str) -> list[str]:
    described = await stack.client.get_workflow_handle(event_id).describe()
    return list(described.typed_search_attributes.get(names.PEOPLE) or ())


async def test_five_people_are_found_by_each_identifier_before_and_after_a_redelivery(
    stack: Stack,
) -> None:
    await stack.rule()
    await rule_by_path(stack)
    stack.sim.fail("identify", fault=Fault(status=400))
    ann = {"userId": "usr_1", "email": "Ann@Example.com", "anonymousId": "visit-1"}
    about = {
        (await stack.emit(payload=ann)).id: ("usr_1", "ann@example.com", " visit-1 "),
        (await stack.emit(payload={"userId": 2048})).id: ("2048",),
        await plainly(stack, {"email": "ben@example.com"}): ("BEN@example.com",),
        await plainly(stack, NESTED, "by.path"): ("usr_9", "nine@example.com", "dev-9"),
        (await stack.emit("by.path", {"user": {"id": "J\u00fcrgen"}})).id: ("Ju\u0308rgen",),
    }
    await ended(stack, *about)
    for id, identifiers in about.items():
        for identifier in identifiers:
            await found_soon(stack, identifier, {id})
    stack.sim.clear_faults()
    for id in about:
        await redeliver(stack.client, id)
    await ended(stack, *about)
    for id, identifiers in about.items():
        for identifier in identifiers:
            await found_soon(stack, identifier, {id})
    assert await found(stack, "USR_1") == set()  # a user id's case counts
    other = (await stack.catalog.workspaces.create(stack.organization, name="Other")).id
    assert await found(stack, "usr_1", workspace=other) == set()


async def test_a_person_is_found_by_command_with_all_that_is_said_of_completeness(
    stack: Stack,
) -> None:
    mine, _ = await stack.emit(payload={"userId": "usr_1"}), await stack.emit()
    await found_soon(stack, "usr_1", {mine.id})
    asked = ("events", "list", "--workspace", stack.workspace, "--person", "usr_1")
    answer = json.loads((await command(stack, *asked, "--json")).out)
    assert [record["id"] for record in answer["records"]] == [mine.id]
    assert answer["complete_from"] is None  # this test's worker keeps no row in the catalog
    assert "any event may be missing" in (await command(stack, *asked)).err
    await stack.catalog.workers.beat(uuid.uuid4())
    assert "may be missing" in (await command(stack, *asked)).err
    younger = (await stack.catalog.workspaces.create(stack.organization, name="Younger")).id
    asked = ("events", "list", "--workspace", younger, "--person", "usr_1")
    assert "missing" not in (await command(stack, *asked)).err


async def test_a_large_event_is_found_by_what_its_mapping_names(stack: Stack) -> None:
    await rule_by_path(stack)
    beside = len(json.dumps(NESTED | {"note": ""}, separators=(",", ":")))
    note = "x" * (LARGEST_PAYLOAD - beside)
    id = await plainly(stack, NESTED | {"note": note}, "by.path")
    await ended(stack, id)
    await found_soon(stack, "usr_9", {id})


async def test_an_event_matched_after_the_catalog_was_unavailable_is_found(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rule_by_path(stack)
    lookup, failed = stack.catalog.rule_lookup, []
    match = type(lookup).match

    async def failing_once(self: Any, request: Any) -> Any:
        if not failed:
            failed.append(request)
            raise CatalogUnavailable("away")
        return await match(self, request)

    monkeypatch.setattr(type(lookup), "match", failing_once)
    id = await plainly(stack, NESTED, "by.path")
    await ended(stack, id)
    assert failed
    await found_soon(stack, "nine@example.com", {id})


async def test_what_a_starter_has_set_is_not_set_again(stack: Stack) -> None:
    await stack.rule()
    handle = await stack.emit(payload={"userId": "usr_1", "email": "Ann@example.com"})
    await handle.result()
    expected = [person_hash(SECRET, stack.workspace, one) for one in ("usr_1", "ann@example.com")]
    assert await hashes_of(stack, handle.id) == expected
    upserts = [
        event.upsert_workflow_search_attributes_event_attributes.search_attributes.indexed_fields
        async for event in stack.client.get_workflow_handle(handle.id).fetch_history_events()
        if event.HasField("upsert_workflow_search_attributes_event_attributes")
    ]
    assert [names.PEOPLE.name in fields for fields in upserts] == [False]


async def test_people_wait_for_the_last_worker_that_does_not_record_them(stack: Stack) -> None:
    """A run with a command that an older worker would not make could not continue there."""
    known = this_release()
    features = tuple(one for one in known.features if one != PEOPLE)
    stack.fleet = known.model_copy(update={"features": features})
    id = await plainly(stack, {"userId": "usr_1"})
    await ended(stack, id)
    assert await hashes_of(stack, id) == []
    stack.fleet = known
    id = await plainly(stack, {"userId": "usr_1"})
    await ended(stack, id)
    assert await hashes_of(stack, id) == [person_hash(SECRET, stack.workspace, "usr_1")]


async def namespace_of(temporal: Client, *, room: int, keywords: int = 1) -> Client:
    """A namespace with room for so many further attributes of type KeywordList and Keyword."""
    name = f"room-{uuid.uuid4()}"
    request = RegisterNamespaceRequest(namespace=name)
    request.workflow_execution_retention_period.FromJsonString("2592000s")
    await temporal.workflow_service.register_namespace(request)
    client = await connect(temporal.service_client.config.target_host, namespace=name)
    keys = [
        *names.REQUIRED,
        *(SearchAttributeKey.for_keyword_list(f"Foreign{number}") for number in range(1 - room)),
        *(SearchAttributeKey.for_keyword(f"Word{number}") for number in range(4 - keywords)),
    ]
    attributes = {key.name: int(key.indexed_value_type) for key in keys}

    async def registered() -> bool:
        """A server tells its parts of a new namespace within some seconds."""
        with suppress(RPCError):
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(namespace=name, search_attributes=attributes)  # type: ignore[arg-type]
            )
            for key in names.REQUIRED:
                await client.count_workflows(f"{key.name} IS NULL")
            return True
        return False

    await eventually(registered, within=30)
    return client


@pytest.mark.slow
async def test_a_namespace_without_room_delivers_and_says_that_search_is_off(
    temporal: Client, database: str
) -> None:
    client = await namespace_of(temporal, room=0)
    assert await register_search_attributes(client) == [names.REASON.name]
    async with (
        open_stack(client, database, working=False) as stack,
        open_worker(client, stack.catalog, stack.clients, stack.settings),
    ):
        await stack.rule()
        handles = [await stack.emit(), await stack.emit()]
        handles.append(stack.emitter.get(await plainly(stack, {"userId": "usr_1"})))
        async with asyncio.timeout(30):
            for handle in handles:
                await handle.result()
        with pytest.raises(NotSearchable, match="EmitoncePeople"):
            await found(stack, "usr_1")
        assert await stack.catalog.workers.in_use_since(PEOPLE) is None
        findings = [one async for one in check_namespace(client, stack.task_queue)]
        [said] = [one for one in findings if one.matter == "search attributes"]
        assert (said.state, "can't be searched by person" in said.said) == ("warning", True)


@pytest.mark.slow
async def test_a_new_emitter_is_accepted_by_an_old_namespace_and_sets_people_once_it_can(
    temporal: Client, database: str
) -> None:
    client = await namespace_of(temporal, room=1)
    async with open_stack(client, database, working=False) as stack:
        with patch.object(client, "start_workflow", wraps=client.start_workflow) as start:
            early, other = [
                await stack.emitter.emit("user.signup", payload, workspace=stack.workspace)
                for payload in ({"userId": "usr_1"}, {"userId": "usr_2"})
            ]
        assert start.call_count == 3  # only the first one was refused, and tried again
        for handle in (early, other):
            assert await hashes_of(stack, handle.id) == []
        await register_search_attributes(client)

        async def set_once_known() -> bool:
            """By a starter of its own each time, as after a restart."""
            handle = await stack.emit(payload={"userId": "usr_2"})
            return bool(await hashes_of(stack, handle.id))

        await eventually(set_once_known, within=60)
        async with open_worker(client, stack.catalog, stack.clients, stack.settings):
            await ended(stack, early.id)
            await found_soon(stack, "usr_1", {early.id})
            assert await stack.catalog.workers.in_use_since(PEOPLE) is not None


async def test_lists_say_whom_an_event_is_about_only_where_it_is_encrypted(
    temporal: Client, database: str
) -> None:
    sealing = await connect(
        temporal.service_client.config.target_host, keys=KeyRing({"k1": b"1" * 32})
    )
    async with open_stack(sealing, database) as stack:
        await stack.rule()
        stack.sim.fail("identify", fault=Fault(status=400))
        handle = await stack.emit(payload={"userId": "usr_1", "email": "ann@example.com"})
        await ended(stack, handle.id)

        async def about(client: Client) -> list[Any]:
            page = await list_events(client, EventQuery((stack.workspace,)), limit=5)
            return [event.person for event in page.events]

        person = {"userId": "usr_1", "email": "ann@example.com"}

        async def shown() -> bool:
            return await about(sealing) == [person]

        await eventually(shown)
        raw = await temporal.get_workflow_handle(handle.id).describe()
        assert b"usr_1" not in raw.raw_info.memo.SerializeToString()
        await redeliver(sealing, handle.id)
        await ended(stack, handle.id)
        described = await sealing.get_workflow_handle(handle.id).describe()
        assert await described.memo_value("person") == person
        # One that can decrypt, but no longer encrypts.
        readable = await connect(
            temporal.service_client.config.target_host,
            keys=KeyRing({"k1": b"1" * 32}, encrypts=False),
        )
        await redeliver(readable, handle.id)
        described = await readable.get_workflow_handle(handle.id).describe()
        assert await described.memo_value("person", None) is None
        by_reader = await plainly(stack, {"userId": "usr_3"}, client=readable)
        described = await readable.get_workflow_handle(by_reader).describe()
        assert await described.memo_value("person", None) is None


async def test_a_memo_that_cannot_be_read_keeps_nobody_from_lists_and_redeliveries(
    stack: Stack,
) -> None:
    """Whoever reaches Temporal may start an event with any memo."""
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=400))
    lost = Payload(metadata={"encoding": b"binary/encrypted", "key-id": b"gone"}, data=b"x" * 40)
    broken = Payload(metadata={"encoding": b"json/plain"}, data=b"{")

    async def started(memo: Payload) -> str:
        run = await stack.client.start_workflow(
            "DeliverEvent",
            {"workspace": stack.workspace, "event": "user.signup", "payload": {"userId": "usr_1"}},
            id=str(uuid.uuid4()),
            task_queue=stack.task_queue,
            memo={"person": RawValue(memo), "created_by": RawValue(memo)},
            search_attributes=TypedSearchAttributes(
                [
                    SearchAttributePair(names.WORKSPACE, stack.workspace),
                    SearchAttributePair(names.ACCEPTED_AT, datetime.now(UTC)),
                ]
            ),
        )
        return run.id

    # The second waits for a worker that has its key.
    failed, waits = await started(broken), await started(lost)
    other = await stack.emit()
    await ended(stack, failed, other.id)
    await stack.listed(3)
    page = await list_events(stack.client, EventQuery((stack.workspace,)), limit=5)
    assert {event.event_id for event in page.events} == {failed, waits, other.id}
    assert [event.person for event in page.events] == [None] * 3
    stack.sim.clear_faults()
    await redeliver(stack.client, failed)
    await ended(stack, failed)
    assert (await stack.log(stack.emitter.get(failed))).status is Status.COMPLETED
    await stack.client.get_workflow_handle(waits).terminate()
