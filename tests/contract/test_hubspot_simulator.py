"""The simulator is a HubSpot to HubSpot's own Python client, errors included."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import pytest
import pytest_asyncio
from hubspot import HubSpot
from hubspot.crm.contacts import ApiException as ContactsError
from hubspot.crm.contacts import (
    BatchInputSimplePublicObjectBatchInputUpsert,
    SimplePublicObjectBatchInputUpsert,
)
from hubspot.crm.lists import ApiException as ListsError
from hubspot.crm.lists import ListSearchRequest
from hubspot.events.send import ApiException as EventsError
from hubspot.events.send import BehavioralEventHttpCompletionRequest

from destinations.hubspot.simulated_account import ContactList
from destinations.hubspot.simulator import (
    NEWS,
    READ_CONTACTS,
    SIGNED_UP,
    TOKEN,
    HubSpotSimulator,
)
from destinations.simulator import Fault

T = TypeVar("T")
EMAIL = "test@example.com"


@pytest_asyncio.fixture
async def sim() -> AsyncIterator[HubSpotSimulator]:
    async with HubSpotSimulator() as opened:
        yield opened


def client(sim: HubSpotSimulator, token: str = TOKEN) -> Any:
    return HubSpot(access_token=token, host=sim.base_urls[""])


async def called(call: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """The client blocks, and the simulator runs in this thread."""
    return await asyncio.to_thread(call, *arguments, **named)


def upserts(*contacts: tuple[str, dict[str, str]]) -> Any:
    return BatchInputSimplePublicObjectBatchInputUpsert(
        inputs=[
            SimplePublicObjectBatchInputUpsert(id=email, id_property="email", properties=properties)
            for email, properties in contacts
        ]
    )


async def upsert(sim: HubSpotSimulator, *contacts: tuple[str, dict[str, str]]) -> Any:
    api = client(sim).crm.contacts.batch_api
    return await called(api.upsert, upserts(*contacts))


async def test_a_contact_is_created_and_then_updated(sim: HubSpotSimulator) -> None:
    first = await upsert(sim, (EMAIL, {"firstname": "Test"}))
    second = await upsert(sim, (EMAIL.upper(), {"lastname": "Person"}))
    assert [one.new for one in (*first.results, *second.results)] == [True, False]
    assert first.results[0].id == second.results[0].id
    [stored] = sim.service.contacts.values()
    assert stored.properties == {"email": EMAIL, "firstname": "Test", "lastname": "Person"}


async def test_an_invalid_contact_is_told_in_a_207_and_the_others_are_stored(
    sim: HubSpotSimulator,
) -> None:
    answer = await upsert(
        sim,
        (EMAIL, {"firstname": "Test"}),
        ("nobody", {}),
        ("b@example.com", {"riddle": "x"}),
        ("c@example.com", {"lifecyclestage": "x"}),
    )
    assert answer.num_errors == 3
    assert [one.category for one in answer.errors] == ["VALIDATION_ERROR"] * 3
    assert [one.errors[0].code for one in answer.errors] == [
        "INVALID_EMAIL",
        "PROPERTY_DOESNT_EXIST",
        "INVALID_OPTION",
    ]
    assert len(sim.service.contacts) == 1


async def test_a_contact_is_found_by_its_address(sim: HubSpotSimulator) -> None:
    await upsert(sim, (EMAIL, {}))
    api = client(sim).crm.contacts.basic_api
    found = await called(api.get_by_id, EMAIL, id_property="email")
    assert found.id == "101"
    with pytest.raises(ContactsError) as failure:
        await called(api.get_by_id, "b@example.com", id_property="email")
    assert failure.value.status == 404
    sim.service.unseen = 1
    with pytest.raises(ContactsError):
        await called(api.get_by_id, EMAIL, id_property="email")
    assert (await called(api.get_by_id, EMAIL, id_property="email")).id == "101"


async def test_a_membership_is_changed_once_and_unknown_contacts_are_told(
    sim: HubSpotSimulator,
) -> None:
    await upsert(sim, (EMAIL, {}))
    api = client(sim).crm.lists.memberships_api
    added = await called(api.add, NEWS, ["101", "999"])
    assert (added.records_ids_added, added.record_ids_missing) == (["101"], ["999"])
    again = await called(api.add, NEWS, ["101"])
    assert again.records_ids_added == []
    assert sim.service.lists[NEWS].members == {"101"}
    removed = await called(api.remove, NEWS, ["101"])
    assert removed.record_ids_removed == ["101"]
    assert sim.service.lists[NEWS].members == set()


async def test_only_static_lists_can_be_changed(sim: HubSpotSimulator) -> None:
    sim.service.lists["6"] = ContactList("6", "All", processing="DYNAMIC")
    api = client(sim).crm.lists
    for id, status in (("6", 400), ("7", 404)):
        with pytest.raises(ListsError) as failure:
            await called(api.memberships_api.add, id, ["101"])
        assert failure.value.status == status
    asked = ListSearchRequest(
        additional_properties=[], offset=0, processing_types=["MANUAL", "SNAPSHOT"]
    )
    found = await called(api.lists_api.do_search, asked)
    assert [(one.list_id, one.name) for one in found.lists] == [(NEWS, "News")]
    assert found.has_more is False


async def send(sim: HubSpotSimulator, **changed: Any) -> None:
    given = {"event_name": SIGNED_UP, "email": EMAIL, "properties": {"plan": "pro"}, **changed}
    api = client(sim).events.send.basic_api
    await called(api.send, BehavioralEventHttpCompletionRequest(**given))


async def test_an_event_is_recorded_once_for_each_uuid(sim: HubSpotSimulator) -> None:
    for uuid in ("one", "one", "two"):
        await send(sim, uuid=uuid)
    assert [one.uuid for one in sim.service.occurrences] == ["one", "two"]
    assert sim.service.occurrences[0].properties == {"plan": "pro"}


@pytest.mark.parametrize(
    "changed", [{"event_name": "pe1234567_other"}, {"properties": {"riddle": "x"}}]
)
async def test_an_event_that_is_not_defined_is_refused(
    sim: HubSpotSimulator, changed: dict[str, Any]
) -> None:
    with pytest.raises(EventsError) as failure:
        await send(sim, **changed)
    assert failure.value.status == 400
    assert json.loads(failure.value.body)["category"] == "VALIDATION_ERROR"
    assert not sim.service.occurrences


@pytest.mark.parametrize(
    ("token", "status", "category"),
    [("pat-unknown", 401, "INVALID_AUTHENTICATION"), ("pat-reader", 403, "MISSING_SCOPES")],
)
async def test_a_wrong_token_is_refused_by_name(
    sim: HubSpotSimulator, token: str, status: int, category: str
) -> None:
    sim.service.tokens["pat-reader"] = READ_CONTACTS
    api = client(sim, token).crm.contacts.batch_api
    with pytest.raises(ContactsError) as failure:
        await called(api.upsert, upserts((EMAIL, {})))
    assert failure.value.status == status
    assert json.loads(failure.value.body)["category"] == category


async def test_too_many_requests_get_429_and_the_name_of_the_limit(sim: HubSpotSimulator) -> None:
    sim.service.per_second = 1
    await upsert(sim, (EMAIL, {}))
    with pytest.raises(ContactsError) as failure:
        await upsert(sim, (EMAIL, {}))
    assert failure.value.status == 429
    body = json.loads(failure.value.body)
    assert (body["category"], body["policyName"]) == ("RATE_LIMITS", "SECONDLY")


async def test_a_fault_concerns_the_call_that_it_names(sim: HubSpotSimulator) -> None:
    sim.fail("send", fault=Fault(status=503), times=1)
    await upsert(sim, (EMAIL, {}))
    with pytest.raises(EventsError):
        await send(sim)
    await send(sim)
    assert len(sim.service.occurrences) == 1
