"""What Intercom answers and what follows from it: reads before a write, and a search that lags."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
import pytest_asyncio
from pydantic import SecretStr

from delivery.credential import Credential
from delivery.message import Message
from delivery.outcome import OutcomeCode, Then
from destinations.destination import NotListed, Option, Verdict
from destinations.http.errors import NotSent
from destinations.http.exchange import TOTAL_TIMEOUT_SECONDS, Answer, Http
from destinations.intercom.client import IntercomClient, seconds_until_reset
from destinations.intercom.simulator import (
    EU_TOKEN,
    READS,
    TOKEN,
    VIP,
    Contact,
    IntercomSimulator,
)
from destinations.registry import build_messages
from destinations.simulator import Fault
from tests.contract.judged import DONE, FAILED, HELD, RETRIED, THROTTLED, then
from tests.unit.delivery_samples import event, rule_of

SCHEMAS = json.loads((Path(__file__).parent / "schemas" / "intercom.json").read_text())
EMAIL = "test@example.com"
BY_EMAIL = {"email": EMAIL, "name": "Łódź"}
BY_ID = {**BY_EMAIL, "external_id": "usr_2048"}


@pytest_asyncio.fixture
async def sim() -> AsyncIterator[IntercomSimulator]:
    async with IntercomSimulator() as opened:
        yield opened


@pytest_asyncio.fixture
async def http() -> AsyncIterator[Http]:
    async with Http() as opened:
        yield opened


@pytest.fixture
def client(sim: IntercomSimulator, http: Http) -> IntercomClient:
    return IntercomClient(http, sim.base_urls)


@pytest.fixture
def another(sim: IntercomSimulator, http: Http) -> IntercomClient:
    """Of another worker, which remembers nothing of this one's."""
    return IntercomClient(http, sim.base_urls)


def credential(token: str = TOKEN, region: str = "us") -> Credential:
    return Credential({"region": region}, {"access_token": SecretStr(token)})


def messages(payload: dict[str, Any], action: str, **metadata: str) -> tuple[Message, ...]:
    return build_messages(event(payload), rule_of("intercom", action=action, **metadata)).messages


def identify(payload: dict[str, Any] = BY_EMAIL) -> Message:
    return messages(payload, "add_tag", id=VIP)[0]


def tagging(payload: dict[str, Any] = BY_EMAIL, action: str = "add_tag") -> Message:
    return messages(payload, action, id=VIP)[1]


def occurrence(payload: dict[str, Any] = BY_ID) -> Message:
    return messages(payload, "track_event")[1]


def calls(sim: IntercomSimulator) -> list[str]:
    return [request.call for request in sim.requests]


def told(code: str, message: str = "x") -> str:
    return json.dumps({"type": "error.list", "errors": [{"code": code, "message": message}]})


async def test_a_contact_is_created_then_updated_and_its_answer_kept_without_it(
    sim: IntercomSimulator, client: IntercomClient
) -> None:
    outcome = await client.send(identify(BY_ID), credential())
    assert then(outcome) == DONE
    assert then(await client.send(identify(BY_ID), credential())) == DONE
    [stored] = sim.service.contacts.values()
    assert (stored.external_id, stored.email, stored.name) == ("usr_2048", EMAIL, "Łódź")
    assert calls(sim) == ["find", "search", "create", "get", "update"]
    writes = [request for request in sim.requests if request.call not in READS]
    assert [request.raw for request in writes] == [identify(BY_ID).encode()] * 2
    for request in sim.requests:
        assert request.header("authorization") == f"Bearer {TOKEN}"
        assert request.header("intercom-version") == "2.15"
    assert json.loads(str(outcome.response_excerpt)) == {"type": "contact", "id": stored.id}
    for value in ("Łódź", EMAIL, "usr_2048"):
        assert value not in str(outcome)


async def test_requests_are_as_their_schemas_describe_them(
    sim: IntercomSimulator, client: IntercomClient
) -> None:
    for message in (identify(), tagging()):
        await client.send(message, credential())
    await IntercomClient(client._http, sim.base_urls).send(identify(), credential())
    bodies = {request.call: request.parsed for request in sim.requests}
    for call, schema in (("create", "identify"), ("update", "identify"), ("search", "search")):
        jsonschema_rs.validate(SCHEMAS[schema], bodies[call])
    jsonschema_rs.validate(SCHEMAS["tag"], bodies["tag"])


async def test_a_contact_that_had_only_an_address_gets_its_external_id(
    sim: IntercomSimulator, client: IntercomClient, another: IntercomClient
) -> None:
    await client.send(identify(BY_EMAIL), credential())
    assert then(await another.send(identify(BY_ID), credential())) == DONE
    [stored] = sim.service.contacts.values()
    assert stored.external_id == "usr_2048"


async def test_a_lead_and_another_person_with_the_same_address_are_left_alone(
    sim: IntercomSimulator, client: IntercomClient
) -> None:
    lead = Contact("lead", 1, role="lead", email=EMAIL)
    other = Contact("other", 2, external_id="usr_1", email=EMAIL)
    sim.service.contacts = {"lead": lead, "other": other}
    assert then(await client.send(identify(BY_ID), credential())) == DONE
    assert len(sim.service.contacts) == 3
    assert lead.external_id is None
    assert other.name is None


async def test_an_external_id_is_one_part_of_the_path_whatever_it_holds(
    sim: IntercomSimulator, client: IntercomClient, another: IntercomClient
) -> None:
    odd = {"external_id": "a/../b?c#d+e%41 f"}
    await client.send(identify(odd), credential())
    assert then(await another.send(tagging(odd), credential())) == DONE
    [stored] = sim.service.contacts.values()
    assert stored.tags == {VIP}


async def test_a_contact_that_the_search_does_not_show_yet_is_updated_after_a_409(
    sim: IntercomSimulator, client: IntercomClient, another: IntercomClient
) -> None:
    sim.service.lagging = True
    await client.send(identify(), credential())
    outcome = await another.send(identify(), credential())
    assert then(outcome) == RETRIED
    assert outcome.message == "409: the contact exists by now, so the next attempt updates it"
    assert then(await another.send(identify(), credential())) == DONE
    assert len(sim.service.contacts) == 1
    assert calls(sim) == ["search", "create", "search", "create", "get", "update"]


async def test_a_tag_waits_for_the_search_only_where_the_contact_is_not_remembered(
    sim: IntercomSimulator, client: IntercomClient, another: IntercomClient
) -> None:
    sim.service.lagging = True
    await client.send(identify(), credential())
    outcome = await another.send(tagging(), credential())
    assert then(outcome) == RETRIED
    assert outcome.message == "the contact was not found yet"
    assert then(await client.send(tagging(), credential())) == DONE
    await client.send(tagging(action="remove_tag"), credential())
    sim.service.catch_up()
    assert then(await another.send(tagging(), credential())) == DONE
    [stored] = sim.service.contacts.values()
    assert stored.tags == {VIP}


async def test_what_is_remembered_is_read_again(
    sim: IntercomSimulator, client: IntercomClient
) -> None:
    await client.send(identify(), credential())
    [first] = sim.service.contacts.values()
    first.email = "moved@example.com"
    await client.send(identify(), credential())
    assert len(sim.service.contacts) == 2
    sim.service.contacts.clear()
    assert then(await client.send(identify(), credential())) == DONE
    assert len(sim.service.contacts) == 1


async def test_two_workers_that_create_a_contact_at_once_make_one(
    sim: IntercomSimulator, client: IntercomClient, another: IntercomClient
) -> None:
    sim.fail("search", fault=Fault(delay=0.3), times=2)
    both = await asyncio.gather(*(one.send(identify(), credential()) for one in (client, another)))
    assert sorted(then(outcome)[0] for outcome in both) == [Then.DONE, Then.RETRY]
    for one in (client, another):
        assert then(await one.send(identify(), credential())) == DONE
    assert len(sim.service.contacts) == 1
    assert calls(sim).count("create") == 2


async def test_an_archived_contact_and_one_of_another_person_fail_for_good(
    sim: IntercomSimulator, client: IntercomClient
) -> None:
    sim.service.contacts["old"] = Contact("old", 1, email=EMAIL, archived=True)
    outcome = await client.send(identify(), credential())
    assert then(outcome) == FAILED
    assert "archived" in outcome.message
    sim.service.contacts = {"other": Contact("other", 1, external_id="usr_1", email=EMAIL)}
    clash = told("conflict", "A contact matching those details already exists with id=other")
    sim.fail("create", fault=Fault(status=409, body=clash))
    assert then(await client.send(identify(BY_ID), credential())) == RETRIED
    outcome = await client.send(identify(BY_ID), credential())
    assert then(outcome) == FAILED
    assert "another external_id" in outcome.message
    assert calls(sim).count("create") == 2


async def test_an_update_that_clashes_with_another_contact_fails_for_good(
    sim: IntercomSimulator, client: IntercomClient
) -> None:
    sim.service.contacts = {
        "one": Contact("one", 1, external_id="usr_2048"),
        "two": Contact("two", 1, email=EMAIL),
    }
    outcome = await client.send(identify(BY_ID), credential())
    assert then(outcome) == FAILED
    assert "merge the two" in outcome.message


async def test_a_contact_that_is_deleted_between_read_and_write_is_created_by_the_next_attempt(
    sim: IntercomSimulator, client: IntercomClient
) -> None:
    await client.send(identify(), credential())
    sim.fail("update", fault=Fault(status=404, body=told("not_found")), times=1)
    assert then(await client.send(identify(), credential())) == RETRIED
    sim.service.contacts.clear()
    assert then(await client.send(identify(), credential())) == DONE


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(status=401, body=told("unauthorized")), HELD),
        (Fault(status=403, body=told("token_unauthorized")), HELD),
        (Fault(status=404, body="<html>"), FAILED),
        (Fault(status=429, body=told("rate_limit_exceeded")), THROTTLED),
        (Fault(status=503), RETRIED),
        (Fault(status=200, body="<html>"), RETRIED),
        (Fault(status=200, body=""), RETRIED),
        (Fault(status=200, body='{"data":{}}'), RETRIED),
        (Fault(body_bytes=10_000_000), RETRIED),
        (Fault(status=302, headers={"Location": "http://169.254.169.254/"}), FAILED),
    ],
    ids=lambda value: str(value)[:60],
)
@pytest.mark.parametrize("message", [identify(), tagging()], ids=["identify", "tag"])
async def test_a_look_up_that_fails_changes_nothing(
    sim: IntercomSimulator,
    client: IntercomClient,
    message: Message,
    fault: Fault,
    expected: tuple[Then, OutcomeCode],
) -> None:
    sim.fail("search", fault=fault)
    outcome = await client.send(message, credential())
    assert then(outcome) == expected
    assert outcome.message.endswith(", when the contact was looked up")
    assert calls(sim) == ["search"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("token_revoked", "oauth_authorization_revoked"),
        ("token_suspended", "oauth_authorization_revoked"),
        ("token_unauthorized", "authentication_invalid"),
        ("token_not_found", "authentication_invalid"),
    ],
)
async def test_a_refused_token_is_wrong_or_revoked(
    sim: IntercomSimulator, client: IntercomClient, code: str, reason: str
) -> None:
    sim.service.tokens[TOKEN] = code
    for message in (identify(), occurrence()):
        outcome = await client.send(message, credential())
        assert (then(outcome), outcome.inactive_reason) == (HELD, reason)


@pytest.mark.parametrize(
    ("message", "fault", "expected"),
    [
        (identify(), Fault(status=200, body="<html>Log in to the hotel's network"), RETRIED),
        (identify(), Fault(status=200, body=""), RETRIED),
        (identify(), Fault(status=204), RETRIED),
        (identify(), Fault(status=200, body='{"type":"tag","id":"1"}'), RETRIED),
        (identify(), Fault(status=200, body="[" * 100_000), RETRIED),
        (identify(), Fault(status=200, body_bytes=10_000_000), RETRIED),
        (identify(), Fault(status=201, body='{"type":"contact","id":"1"}'), DONE),
        (identify(), Fault(status=400, body=told("parameter_invalid")), FAILED),
        (identify(), Fault(status=403, body=told("action_forbidden")), HELD),
        (identify(), Fault(status=409, body="<html>"), FAILED),
        (occurrence(), Fault(status=202), DONE),
        (occurrence(), Fault(status=200, body="<html>"), RETRIED),
        (occurrence(), Fault(status=404, body=told("not_found")), RETRIED),
        (occurrence(), Fault(status=404, body="<html>"), FAILED),
        (occurrence(), Fault(status=409, body=told("conflict")), FAILED),
        (occurrence(), Fault(status=302, headers={"Location": "http://169.254.169.254/"}), FAILED),
        (occurrence(), Fault(status=503), RETRIED),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_whatever_else_answers_is_not_intercom_s_acceptance(
    sim: IntercomSimulator,
    client: IntercomClient,
    message: Message,
    fault: Fault,
    expected: tuple[Then, OutcomeCode],
) -> None:
    for call in ("create", "event"):
        sim.fail(call, fault=fault)
    outcome = await client.send(message, credential())
    assert then(outcome) == expected
    assert len([call for call in calls(sim) if call not in READS]) == 1
    assert len(outcome.response_excerpt or "") <= 2_000


async def test_a_tag_that_was_deleted_fails_to_be_put_on_and_is_off_already(
    sim: IntercomSimulator, client: IntercomClient
) -> None:
    await client.send(identify(), credential())
    sim.service.tags.clear()
    outcome = await client.send(tagging(), credential())
    assert then(outcome) == FAILED
    assert "no such tag" in outcome.message
    outcome = await client.send(tagging(action="remove_tag"), credential())
    assert then(outcome) == DONE
    assert "nothing to remove" in outcome.message
    sim.fail("untag", fault=Fault(status=404, body="<html>"))
    assert then(await client.send(tagging(action="remove_tag"), credential())) == FAILED


async def test_a_large_contact_is_a_contact(sim: IntercomSimulator, client: IntercomClient) -> None:
    large = json.dumps({"type": "contact", "id": "1", "note": "x" * 200_000})
    sim.fail("create", fault=Fault(status=200, body=large))
    assert then(await client.send(identify(), credential())) == DONE


async def test_an_event_is_recorded_once_however_often_it_is_sent(
    sim: IntercomSimulator, client: IntercomClient
) -> None:
    await client.send(identify(BY_ID), credential())
    for _ in range(2):
        assert then(await client.send(occurrence(), credential())) == DONE
    [recorded] = sim.service.occurrences
    assert (recorded.person, recorded.created_at) == ("usr_2048", 1795456800)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"X-RateLimit-Reset": "1795456810", "Date": "Mon, 23 Nov 2026 18:00:03 GMT"}, "7"),
        ({"X-RateLimit-Reset": "1795456800", "Date": "Mon, 23 Nov 2026 18:00:03 GMT"}, "1"),
        ({"X-RateLimit-Reset": "soon", "Date": "Mon, 23 Nov 2026 18:00:03 GMT"}, None),
        ({"X-RateLimit-Reset": "9" * 40}, None),
        ({"X-RateLimit-Reset": "1", "Date": "yesterday"}, "1"),
        ({"Retry-After": "30", "X-RateLimit-Reset": "1795456810"}, "30"),
        ({}, None),
    ],
)
async def test_a_limit_is_waited_for_until_its_reset_by_the_clock_of_the_answer(
    sim: IntercomSimulator, client: IntercomClient, headers: dict[str, str], wait: str | None
) -> None:
    sim.fail(fault=Fault(status=429, headers=headers, body=told("rate_limit_exceeded")))
    for message in (occurrence(), identify()):
        outcome = await client.send(message, credential())
        assert then(outcome) == THROTTLED
        assert outcome.retry_after == wait


def test_a_reset_without_a_date_is_read_by_our_clock() -> None:
    assert seconds_until_reset(httpx.Headers({"X-RateLimit-Reset": "99999999999"})) is not None


@pytest.mark.parametrize(
    ("token", "region", "verdict", "said"),
    [
        (TOKEN, "us", Verdict.RIGHT, "accepts this token in region us"),
        (EU_TOKEN, "us", Verdict.WRONG_REGION, "belongs to region eu, not us"),
        (TOKEN, "au", Verdict.WRONG_REGION, "belongs to region us, not au"),
        ("unknown", "us", Verdict.WRONG_KEY, "unauthorized"),
    ],
)
async def test_a_token_is_verified_in_every_region_without_writing(
    sim: IntercomSimulator,
    client: IntercomClient,
    token: str,
    region: str,
    verdict: Verdict,
    said: str,
) -> None:
    verified = await client.verify(credential(token, region))
    assert verified.verdict is verdict
    assert said in verified.message
    assert set(calls(sim)) == {"me"}


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=200, body="<html>"),
        Fault(status=403, body="<html>"),
    ],
)
async def test_a_token_that_can_t_be_checked_is_not_called_wrong(
    sim: IntercomSimulator, client: IntercomClient, fault: Fault
) -> None:
    sim.fail(fault=fault)
    assert (await client.verify(credential())).verdict is Verdict.UNKNOWN


async def test_a_message_goes_to_its_region_only(
    sim: IntercomSimulator, client: IntercomClient
) -> None:
    assert then(await client.send(identify(), credential(EU_TOKEN, "eu"))) == DONE
    assert {request.region for request in sim.requests} == {"eu"}
    with pytest.raises(NotSent):
        await client.send(identify(), credential(region="mars"))


async def test_reads_and_the_write_share_the_time_of_a_try(
    http: Http, client: IntercomClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, limits = http.ask, []

    async def noting(*arguments: Any, seconds: float, **named: Any) -> Answer:
        limits.append(seconds)
        return await ask(*arguments, seconds=seconds, **named)

    monkeypatch.setattr(http, "ask", noting)
    await client.send(identify(BY_ID), credential())
    first, second, write = limits
    assert second < first <= TOTAL_TIMEOUT_SECONDS / 2
    assert write == TOTAL_TIMEOUT_SECONDS / 2


async def test_tags_and_own_attributes_are_offered(
    sim: IntercomSimulator, client: IntercomClient
) -> None:
    assert await client.options(credential(), "tags") == (Option(VIP, "VIP"),)
    listed = await client.fields(credential())
    keys = [one.key for one in listed]
    assert keys == ["email", "external_id", "name", "phone", "plan", "seats", "paid"]
    assert listed[4].largest == 255


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(status=401, body=told("unauthorized")), "answer, 401, unauthorized, has"),
        (Fault(status=200, body="<html>"), "answer, 200 has"),
        (Fault(body_bytes=10_000_000), "answer, 200 has"),
        (Fault(status=200, body='{"data":{}}'), "answer, 200 has"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_what_can_t_be_listed_says_why(
    sim: IntercomSimulator, client: IntercomClient, fault: Fault, said: str
) -> None:
    sim.fail(fault=fault)
    with pytest.raises(NotListed, match=said):
        await client.options(credential(), "tags")
    with pytest.raises(NotListed, match=said):
        await client.fields(credential())


async def test_an_odd_list_breaks_nothing(sim: IntercomSimulator, client: IntercomClient) -> None:
    odd = '{"data":[1,{"id":2},{"id":"3","name":4},{"name":"x"},{"name":"y","custom":true}]}'
    sim.fail(fault=Fault(status=200, body=odd))
    assert await client.options(credential(), "tags") == (Option("3", "4"),)
    assert [one.key for one in await client.fields(credential())][4:] == ["y"]
