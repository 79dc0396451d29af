"""What HubSpot answers and what follows from it: a 207 is no success, and a limit has a name."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import pytest_asyncio
from pydantic import SecretStr

from delivery.credential import Credential
from delivery.message import Message
from delivery.outcome import OutcomeCode, Then
from destinations.destination import NotListed, Option, Verdict
from destinations.http.exchange import Http
from destinations.hubspot.client import HubSpotClient
from destinations.hubspot.simulated_account import ContactList
from destinations.hubspot.simulator import (
    NEWS,
    SCOPES,
    SIGNED_UP,
    TOKEN,
    HubSpotSimulator,
)
from destinations.registry import build_messages
from destinations.simulator import Fault
from tests.contract.judged import DONE, FAILED, HELD, RETRIED, THROTTLED, then
from tests.unit.delivery_samples import event, rule_of

SCHEMA = json.loads((Path(__file__).parent / "schemas" / "hubspot.json").read_text())
PAYLOAD = {"email": "test@example.com", "firstname": "Łódź"}


@pytest_asyncio.fixture
async def sim() -> AsyncIterator[HubSpotSimulator]:
    async with HubSpotSimulator() as opened:
        yield opened


@pytest_asyncio.fixture
async def client(sim: HubSpotSimulator) -> AsyncIterator[HubSpotClient]:
    async with Http() as http:
        yield HubSpotClient(http, sim.base_urls)


def credential(token: str = TOKEN) -> Credential:
    return Credential({}, {"access_token": SecretStr(token)})


def messages(
    action: str, payload: dict[str, Any] = PAYLOAD, **metadata: str
) -> tuple[Message, ...]:
    return build_messages(event(payload), rule_of("hubspot", action=action, **metadata)).messages


def identify(**payload: Any) -> Message:
    return messages("add_to_list", {**PAYLOAD, **payload}, id=NEWS)[0]


def membership(action: str = "add_to_list", list: str = NEWS) -> Message:
    return messages(action, id=list)[1]


def occurrence() -> Message:
    return messages("track_event", id=SIGNED_UP)[1]


def told(category: str, **more: Any) -> str:
    return json.dumps({"status": "error", "category": category, "message": "x", **more})


async def test_a_contact_is_stored_as_it_was_built_and_its_answer_kept_without_it(
    sim: HubSpotSimulator, client: HubSpotClient
) -> None:
    outcome = await client.send(identify(), credential())
    assert then(outcome) == DONE
    [stored] = sim.service.contacts.values()
    assert stored.properties == PAYLOAD
    [request] = sim.requests
    assert request.raw == identify().encode()
    assert request.header("authorization") == f"Bearer {TOKEN}"
    kept = json.loads(str(outcome.response_excerpt))
    assert kept["results"] == [{"id": "101", "new": True}]
    assert "Łódź" not in str(outcome)


async def test_a_membership_is_changed_by_the_id_that_is_read_before(
    sim: HubSpotSimulator, client: HubSpotClient
) -> None:
    await client.send(identify(), credential())
    for action, members in (("add_to_list", {"101"}), ("remove_from_list", set())):
        for _ in range(2):
            assert then(await client.send(membership(action), credential())) == DONE
            assert sim.service.lists[NEWS].members == members
    calls = [request.call for request in sim.requests]
    assert calls == ["upsert", *["contact", "add"] * 2, *["contact", "remove"] * 2]
    for request in sim.requests:
        if request.method == "PUT":
            jsonschema_rs.validate(SCHEMA["membership"], request.parsed)


async def test_an_address_is_one_part_of_the_path_whatever_it_holds(
    sim: HubSpotSimulator, client: HubSpotClient
) -> None:
    odd = {"email": "a/../b?c#d+e%41@example.com"}
    upsert, add = messages("add_to_list", odd, id=NEWS)
    await client.send(upsert, credential())
    assert then(await client.send(add, credential())) == DONE
    assert sim.service.lists[NEWS].members == {"101"}


async def test_a_contact_that_can_t_be_found_yet_is_looked_for_again(
    sim: HubSpotSimulator, client: HubSpotClient
) -> None:
    await client.send(identify(), credential())
    sim.service.unseen = 1
    outcome = await client.send(membership(), credential())
    assert then(outcome) == RETRIED
    assert outcome.message == "404: the contact was not found yet"
    assert then(await client.send(membership(), credential())) == DONE
    missing = json.dumps({"recordsIdsAdded": [], "recordIdsMissing": ["101"]})
    sim.fail("add", fault=Fault(status=200, body=missing))
    assert then(await client.send(membership(), credential())) == RETRIED


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(status=401, body=told("INVALID_AUTHENTICATION")), HELD),
        (Fault(status=403, body=told("MISSING_SCOPES")), HELD),
        (Fault(status=429, body=told("RATE_LIMITS", policyName="DAILY")), THROTTLED),
        (Fault(status=503), RETRIED),
        (Fault(status=200, body="<html>"), RETRIED),
        (Fault(status=302, headers={"Location": "http://169.254.169.254/"}), FAILED),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_a_look_up_that_fails_changes_nothing(
    sim: HubSpotSimulator, client: HubSpotClient, fault: Fault, expected: tuple[Then, OutcomeCode]
) -> None:
    await client.send(identify(), credential())
    sim.fail("contact", fault=fault)
    outcome = await client.send(membership(), credential())
    assert then(outcome) == expected
    assert outcome.status_code == fault.status
    assert [request.call for request in sim.requests] == ["upsert", "contact"]


@pytest.mark.parametrize(
    ("category", "expected"),
    [
        ("VALIDATION_ERROR", FAILED),
        ("OBJECT_NOT_FOUND", FAILED),
        ("A_CATEGORY_OF_TOMORROW", FAILED),
        ("CONFLICT", RETRIED),
        ("INTERNAL_ERROR", RETRIED),
        ("TIMEOUT", RETRIED),
        ("RATE_LIMITS", THROTTLED),
    ],
)
async def test_a_207_with_an_error_is_no_success(
    sim: HubSpotSimulator, client: HubSpotClient, category: str, expected: tuple[Then, OutcomeCode]
) -> None:
    error = {"status": "error", "category": category, "message": "Łódź", "policyName": "SECONDLY"}
    body = {"status": "COMPLETE", "results": [], "numErrors": 1, "errors": [error]}
    sim.fail(fault=Fault(status=207, body=json.dumps(body, ensure_ascii=False)))
    outcome = await client.send(identify(), credential())
    assert then(outcome) == expected
    assert "Łódź" not in f"{outcome}"
    assert category in outcome.message or expected == THROTTLED


async def test_a_value_that_hubspot_doesn_t_know_fails_and_says_why(
    sim: HubSpotSimulator, client: HubSpotClient
) -> None:
    [upsert] = messages("update_property", id="lifecyclestage", value="riddle")
    outcome = await client.send(upsert, credential())
    assert then(outcome) == FAILED
    assert outcome.message == ("207: the contact was not stored: HubSpot says VALIDATION_ERROR")
    assert "INVALID_OPTION" in str(outcome.response_excerpt)
    assert "riddle" not in str(outcome.response_excerpt)
    assert not sim.service.contacts


@pytest.mark.parametrize(
    ("headers", "policy", "wait"),
    [
        ({}, "SECONDLY", "1"),
        ({}, "TEN_SECONDLY_ROLLING", "10"),
        ({}, "DAILY", "3600"),
        ({}, "A_POLICY_OF_TOMORROW", None),
        ({"Retry-After": "30"}, "DAILY", "30"),
    ],
)
async def test_a_limit_is_waited_for_by_its_name(
    sim: HubSpotSimulator,
    client: HubSpotClient,
    headers: dict[str, str],
    policy: str,
    wait: str | None,
) -> None:
    body = told("RATE_LIMITS", policyName=policy)
    sim.fail(fault=Fault(status=429, headers=headers, body=body))
    outcome = await client.send(occurrence(), credential())
    assert then(outcome) == THROTTLED
    assert outcome.retry_after == wait
    assert outcome.message == f"429: too many requests, by HubSpot's limit {policy}"


@pytest.mark.parametrize(
    ("message", "fault", "expected"),
    [
        (identify(), Fault(status=200, body="<html>Log in to the hotel's network"), RETRIED),
        (identify(), Fault(status=200, body=""), RETRIED),
        (identify(), Fault(status=204), RETRIED),
        (identify(), Fault(status=200, body='{"results":{}}'), RETRIED),
        (identify(), Fault(status=200, body='{"results":[]}'), FAILED),
        (identify(), Fault(status=207, body='{"results":[{"id":"1"}],"numErrors":1}'), FAILED),
        (identify(), Fault(status=200, body="[" * 100_000), RETRIED),
        (identify(), Fault(status=200, body_bytes=10_000_000), RETRIED),
        (identify(), Fault(status=409, body=told("CONFLICT")), RETRIED),
        (identify(), Fault(status=423), RETRIED),
        (identify(), Fault(status=477, headers={"Retry-After": "60"}), RETRIED),
        (identify(), Fault(status=400, body=told("VALIDATION_ERROR")), FAILED),
        (identify(), Fault(status=403, body=told("MISSING_SCOPES")), HELD),
        (occurrence(), Fault(status=204), DONE),
        (occurrence(), Fault(status=200, body="<html>"), RETRIED),
        (occurrence(), Fault(status=200, body="{}"), RETRIED),
        (occurrence(), Fault(status=302, headers={"Location": "http://169.254.169.254/"}), FAILED),
        (occurrence(), Fault(status=503), RETRIED),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_whatever_else_answers_is_not_hubspot_s_acceptance(
    sim: HubSpotSimulator,
    client: HubSpotClient,
    message: Message,
    fault: Fault,
    expected: tuple[Then, OutcomeCode],
) -> None:
    sim.fail(fault=fault)
    outcome = await client.send(message, credential())
    assert then(outcome) == expected
    assert len(sim.requests) == 1
    assert len(outcome.response_excerpt or "") <= 2_000
    assert outcome.retry_after == fault.headers.get("Retry-After")


@pytest.mark.parametrize(
    ("category", "reason"),
    [
        ("EXPIRED_AUTHENTICATION", "oauth_reauthorization_required"),
        ("MISSING_SCOPES", "oauth_reauthorization_required"),
        ("INVALID_AUTHENTICATION", "authentication_invalid"),
        ("A_CATEGORY_OF_TOMORROW", "authentication_invalid"),
    ],
)
async def test_a_refused_token_is_wrong_or_to_be_authorized_again(
    sim: HubSpotSimulator, client: HubSpotClient, category: str, reason: str
) -> None:
    sim.service.tokens[TOKEN] = category
    for message in (identify(), membership()):
        outcome = await client.send(message, credential())
        assert (then(outcome), outcome.inactive_reason) == (HELD, reason)


async def test_a_contact_is_stored_though_the_answer_is_larger_than_is_read(
    sim: HubSpotSimulator, client: HubSpotClient
) -> None:
    large = identify(company="x" * 65_000, firstname="y" * 65_000)
    assert then(await client.send(large, credential())) == DONE
    assert len(sim.service.contacts) == 1


async def test_a_list_that_is_gone_or_not_static_fails_the_delivery(
    sim: HubSpotSimulator, client: HubSpotClient
) -> None:
    await client.send(identify(), credential())
    sim.service.lists["6"] = ContactList("6", "All", processing="DYNAMIC")
    for id, status in (("6", 400), ("7", 404)):
        outcome = await client.send(membership(list=id), credential())
        assert then(outcome) == FAILED
        assert outcome.status_code == status


async def test_an_event_is_recorded_once_however_often_it_is_sent(
    sim: HubSpotSimulator, client: HubSpotClient
) -> None:
    for _ in range(2):
        assert then(await client.send(occurrence(), credential())) == DONE
    [recorded] = sim.service.occurrences
    assert recorded.uuid == occurrence().body["uuid"]


@pytest.mark.parametrize(
    ("token", "verdict", "said"),
    [
        (TOKEN, Verdict.RIGHT, "HubSpot accepts this token"),
        ("pat-unknown", Verdict.WRONG_KEY, "INVALID_AUTHENTICATION"),
        ("pat-writer", Verdict.WRONG_KEY, "MISSING_SCOPES"),
    ],
)
async def test_a_token_is_verified_without_writing(
    sim: HubSpotSimulator, client: HubSpotClient, token: str, verdict: Verdict, said: str
) -> None:
    sim.service.tokens["pat-writer"] = "crm.objects.contacts.write"
    verified = await client.verify(credential(token))
    assert verified.verdict is verdict
    assert said in verified.message
    assert [request.call for request in sim.requests] == ["property"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=200, body="<html>"),
        Fault(status=403, body="<html>"),
    ],
)
async def test_a_token_that_can_t_be_checked_is_not_called_wrong(
    sim: HubSpotSimulator, client: HubSpotClient, fault: Fault
) -> None:
    sim.fail(fault=fault)
    assert (await client.verify(credential())).verdict is Verdict.UNKNOWN


async def test_static_lists_are_offered_over_pages_up_to_a_bound(
    sim: HubSpotSimulator, client: HubSpotClient
) -> None:
    sim.service.lists["6"] = ContactList("6", "All", processing="DYNAMIC")
    sim.service.lists["7"] = ContactList("7", "Snapshot", processing="SNAPSHOT")
    listed = await client.options(credential(), "lists")
    assert listed == (Option(NEWS, "News"), Option("7", "Snapshot"))
    for number in range(100, 3_000):
        sim.service.lists[str(number)] = ContactList(str(number), f"List {number}")
    assert len(await client.options(credential(), "lists")) == 2_500
    assert len(sim.requests) == 1 + 5


async def test_events_that_are_defined_are_offered_over_pages(
    sim: HubSpotSimulator, client: HubSpotClient
) -> None:
    assert await client.options(credential(), "events") == (Option(SIGNED_UP, "signed up"),)
    for number in range(250):
        sim.service.events[f"pe1_{number}"] = ()
    assert len(await client.options(credential(), "events")) == 251
    assert len(sim.requests) == 1 + 3


async def test_properties_that_can_be_written_are_offered_and_are_the_account_s_fields(
    sim: HubSpotSimulator, client: HubSpotClient
) -> None:
    listed = await client.options(credential(), "properties")
    assert Option("plan", "Plan") in listed
    keys = [one.key for one in await client.fields(credential())]
    assert keys == ["email", *(one.value for one in listed)]
    assert "createdate" not in keys


@pytest.mark.parametrize("kind", ["lists", "events", "properties"])
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(status=403, body=told("MISSING_SCOPES")), "answer, 403, MISSING_SCOPES, has"),
        (Fault(status=429), "answer, 429 has"),
        (Fault(status=200, body="<html>"), "answer, 200 has"),
        (Fault(body_bytes=10_000_000), "answer, 200 has"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_what_can_t_be_listed_says_why(
    sim: HubSpotSimulator, client: HubSpotClient, kind: str, fault: Fault, said: str
) -> None:
    sim.fail(fault=fault)
    with pytest.raises(NotListed, match=said):
        await client.options(credential(), kind)
    assert len(sim.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        '{"results":[1,{"name":2},{"name":{}}],"lists":[1,{"listId":2}],"paging":1,"offset":"x"}',
        '{"results":{},"lists":{},"hasMore":true,"paging":{"next":1}}',
        '{"results":[{"name":"x","modificationMetadata":1,"labels":1}],"lists":null}',
    ],
)
@pytest.mark.parametrize("kind", ["lists", "events", "properties"])
async def test_an_odd_list_breaks_nothing(
    sim: HubSpotSimulator, client: HubSpotClient, kind: str, body: str
) -> None:
    sim.fail(fault=Fault(status=200, body=body))
    await client.options(credential(), kind)


def test_the_scopes_of_the_docs_are_those_of_the_simulator() -> None:
    page = (Path(__file__).parents[2] / "docs" / "hubspot.md").read_text()
    for scope in SCOPES.split(","):
        assert f"`{scope}`" in page
