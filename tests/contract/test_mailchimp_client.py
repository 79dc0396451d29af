"""What Mailchimp answers and what follows from it: who has left is not subscribed again."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import httpx
import jsonschema_rs
import pytest
import pytest_asyncio
from pydantic import SecretStr

from delivery.credential import Credential
from delivery.message import Message
from delivery.outcome import OutcomeCode, Then
from destinations.destination import NotListed, Option, Verdict
from destinations.http.exchange import Answer, Http
from destinations.mailchimp.client import MailchimpClient
from destinations.mailchimp.simulator import (
    KEY,
    NEWS,
    Audience,
    MailchimpSimulator,
    MergeField,
    hash_of,
)
from destinations.registry import build_messages
from destinations.simulator import Fault
from tests.contract.judged import DONE, FAILED, HELD, RETRIED, THROTTLED, then
from tests.unit.delivery_samples import event, mapping, path, rule_of

SCHEMA = json.loads((Path(__file__).parent / "schemas" / "mailchimp.json").read_text())
EMAIL = "test@example.com"
PAYLOAD = {"email": EMAIL, "first": "Łódź", "plan": "pro"}
MAPPED = mapping(path("email", "email"), path("FNAME", "first"))


@pytest_asyncio.fixture
async def sim() -> AsyncIterator[MailchimpSimulator]:
    async with MailchimpSimulator() as opened:
        yield opened


@pytest_asyncio.fixture
async def client(sim: MailchimpSimulator) -> AsyncIterator[MailchimpClient]:
    async with Http() as http:
        yield MailchimpClient(http, sim.base_urls)


def credential(key: str = KEY) -> Credential:
    return Credential({}, {"api_key": SecretStr(key)})


def messages(action: str, payload: dict[str, Any] = PAYLOAD, **metadata: str) -> list[Message]:
    chosen = rule_of("mailchimp", **{"action": action, "id": NEWS, **metadata})
    chosen = chosen.model_copy(update={"mapping": MAPPED})
    return list(build_messages(event(payload), chosen).messages)


def addition(**metadata: str) -> Message:
    return messages("add_to_list", **metadata)[0]


def removal() -> Message:
    return messages("remove_from_list")[0]


def occurrence() -> Message:
    return messages("track_event", event_properties="plan")[1]


def news(sim: MailchimpSimulator) -> Audience:
    return sim.service.audiences[NEWS]


def told(title: str, status: int = 400, **more: Any) -> str:
    return json.dumps({"title": title, "status": status, "detail": f"{EMAIL} and Łódź", **more})


async def test_a_contact_is_stored_as_it_was_built_and_its_answer_kept_without_it(
    sim: MailchimpSimulator, client: MailchimpClient
) -> None:
    outcome = await client.send(addition(), credential())
    assert then(outcome) == DONE
    [stored] = news(sim).contacts.values()
    assert (stored.email, stored.status, stored.merge_fields) == (
        EMAIL,
        "subscribed",
        {"FNAME": "Łódź"},
    )
    [request] = sim.requests
    assert request.path == f"/3.0/lists/{NEWS}/members/{hash_of(EMAIL)}"
    assert request.parsed == addition().body["member"]
    kept = json.loads(str(outcome.response_excerpt))
    assert kept == {"contact_id": stored.contact_id, "web_id": 1, "status": "subscribed"}


@pytest.mark.parametrize("action", ["add_to_list", "remove_from_list", "track_event"])
async def test_what_is_received_is_as_its_schema_describes_it(
    sim: MailchimpSimulator, client: MailchimpClient, action: str
) -> None:
    for message in messages(action):
        assert then(await client.send(message, credential())) == DONE
    parts = {"PUT": ("identify", "member"), "POST": ("track", "event")}
    for request in sim.requests:
        call, part = parts[request.method]
        jsonschema_rs.validate(SCHEMA[call]["properties"][part], request.parsed)


async def test_a_status_is_the_same_however_often_it_is_sent(
    sim: MailchimpSimulator, client: MailchimpClient
) -> None:
    for message, status in ((addition(), "subscribed"), (removal(), "unsubscribed")):
        for _ in range(2):
            assert then(await client.send(message, credential())) == DONE
            assert [one.status for one in news(sim).contacts.values()] == [status]


async def test_who_has_left_is_not_subscribed_again_and_the_log_says_why(
    sim: MailchimpSimulator, client: MailchimpClient
) -> None:
    await client.send(addition(), credential())
    news(sim).leave(EMAIL)
    outcome = await client.send(addition(), credential())
    assert then(outcome) == FAILED
    assert outcome.message == (
        "400: the person unsubscribed, bounced or is under compliance review, so Mailchimp "
        "subscribes them only when they sign up themselves; nothing was changed"
    )
    assert [one.status for one in news(sim).contacts.values()] == ["unsubscribed"]
    assert len(sim.requests) == 2
    assert EMAIL not in str(outcome)
    # An event of theirs is recorded; they stay unsubscribed.
    for message in messages("track_event"):
        assert then(await client.send(message, credential())) == DONE
    assert [one.status for one in news(sim).contacts.values()] == ["unsubscribed"]


async def test_who_was_deleted_permanently_is_not_created_again(
    sim: MailchimpSimulator, client: MailchimpClient
) -> None:
    news(sim).forget(EMAIL)
    outcome = await client.send(addition(), credential())
    assert then(outcome) == FAILED
    assert outcome.message.startswith("400: the contact was permanently deleted")
    assert not news(sim).contacts


async def test_fields_that_only_forms_require_stop_nobody(
    sim: MailchimpSimulator, client: MailchimpClient
) -> None:
    news(sim).merge_fields.append(MergeField("SIZE", "Size", required=True))
    for message in (addition(), removal(), *messages("track_event")):
        assert then(await client.send(message, credential())) == DONE


async def test_what_mailchimp_refuses_is_named_by_its_field_and_not_by_its_value(
    sim: MailchimpSimulator, client: MailchimpClient
) -> None:
    values = ("a\nb", "nowak", "48555123456", "merge_fields.48555123456")
    errors = [
        {"field": "merge_fields.FNAME", "message": "Łódź"},
        *({"field": value} for value in values),
        7,
    ]
    sim.fail(fault=Fault(status=400, body=told("Invalid Resource", errors=errors)))
    outcome = await client.send(addition(), credential())
    assert then(outcome) == FAILED
    assert outcome.message == "400: Mailchimp says Invalid Resource of merge_fields.FNAME"
    for personal in (EMAIL, "Łódź", hash_of(EMAIL)):
        assert personal not in f"{outcome}"


@pytest.mark.parametrize(
    ("message", "said"), [(addition(), "the audience isn't there"), (occurrence(), "any more")]
)
async def test_an_audience_that_was_deleted_fails_the_delivery(
    sim: MailchimpSimulator, client: MailchimpClient, message: Message, said: str
) -> None:
    sim.service.audiences.clear()
    outcome = await client.send(message, credential())
    assert then(outcome) == FAILED
    assert outcome.message.startswith("404: ")
    assert said in outcome.message


MEMBER = json.dumps({"id": hash_of(EMAIL), "status": "subscribed"})


@pytest.mark.parametrize(
    ("message", "fault", "expected"),
    [
        (addition(), Fault(status=200, body=MEMBER), DONE),
        (addition(), Fault(status=200, body="<html>Log in to the hotel's network"), RETRIED),
        (addition(), Fault(status=200, body=""), RETRIED),
        (addition(), Fault(status=204), RETRIED),
        (addition(), Fault(status=200, body='{"id":7,"status":"subscribed"}'), RETRIED),
        (addition(), Fault(status=200, body="[" * 100_000), RETRIED),
        (addition(), Fault(status=200, body_bytes=10_000_000), RETRIED),
        (addition(), Fault(status=429, body=told("Too Many Requests", 429)), THROTTLED),
        (addition(), Fault(status=429, body=""), THROTTLED),
        (addition(), Fault(status=403, body=""), THROTTLED),
        (addition(), Fault(status=403, body="<html>Forbidden"), THROTTLED),
        (addition(), Fault(status=403, body_bytes=10_000_000), THROTTLED),
        (addition(), Fault(status=403, body=told("Forbidden", 403)), HELD),
        (addition(), Fault(status=403, body=told("Wrong Datacenter", 403)), HELD),
        (addition(), Fault(status=403, body=told("User Disabled", 403)), HELD),
        (addition(), Fault(status=401, body=told("API Key Invalid", 401)), HELD),
        (addition(), Fault(status=401, body="<html>"), HELD),
        (addition(), Fault(status=400, body=told("A Title Of Tomorrow")), FAILED),
        (addition(), Fault(status=400, body="<html>"), FAILED),
        (addition(), Fault(status=404, body="<html>"), FAILED),
        (addition(), Fault(status=405, body=told("Method Not Allowed", 405)), FAILED),
        (addition(), Fault(status=503, body=told("Compliance Related", 503)), RETRIED),
        (addition(), Fault(status=302, headers={"Location": "http://169.254.169.254/"}), FAILED),
        (occurrence(), Fault(status=204), DONE),
        (occurrence(), Fault(status=200, body="<html>"), RETRIED),
        (occurrence(), Fault(status=200, body=MEMBER), RETRIED),
        (occurrence(), Fault(status=302, headers={"Location": "http://169.254.169.254/"}), FAILED),
        (occurrence(), Fault(status=503), RETRIED),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_each_answer_is_judged_by_its_status_and_title(
    sim: MailchimpSimulator,
    client: MailchimpClient,
    message: Message,
    fault: Fault,
    expected: tuple[Then, OutcomeCode],
) -> None:
    sim.fail(fault=fault)
    outcome = await client.send(message, credential())
    assert then(outcome) == expected
    assert len(sim.requests) == 1
    assert len(outcome.response_excerpt or "") <= 2_000
    for personal in (EMAIL, "Łódź"):
        assert personal not in f"{outcome}"


async def test_a_contact_is_stored_though_the_answer_repeats_a_large_one(
    sim: MailchimpSimulator, client: MailchimpClient
) -> None:
    [large] = messages("add_to_list", {**PAYLOAD, "first": "x" * 200_000})
    assert then(await client.send(large, credential())) == DONE


async def test_more_than_ten_requests_at_once_are_refused_without_a_time(
    sim: MailchimpSimulator, client: MailchimpClient
) -> None:
    sim.service.at_once = 0
    outcome = await client.send(addition(), credential())
    assert then(outcome) == THROTTLED
    assert outcome.retry_after is None


async def test_the_key_says_which_of_mailchimp_s_hosts_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = Answer(200, httpx.Headers(), MEMBER.encode(), cut=False)
    asked = AsyncMock(return_value=answer)
    monkeypatch.setattr(Http, "ask", asked)
    async with Http() as http:
        client = MailchimpClient(http)
        await client.send(addition(), credential("abc-us21"))
        _, url, headers = asked.call_args.args[:3]
        assert url.host == "us21.api.mailchimp.com"
        assert url.scheme == "https"
        assert asked.call_args.kwargs["anywhere"] is False
        # Whoever stored it, a key never leads to another host.
        for key in ("abc-us6.evil.example", "abc-us6/", "abc-us6@evil.example", "abc", "abc-US6"):
            with pytest.raises(ValueError, match="data center"):
                await client.send(addition(), credential(key))
        assert asked.call_count == 1
    plain = base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode()
    assert plain == "emitonce:abc-us21"


async def test_a_key_that_an_answer_quotes_is_kept_in_no_form(
    sim: MailchimpSimulator, client: MailchimpClient
) -> None:
    header = base64.b64encode(f"emitonce:{KEY}".encode()).decode()
    sim.fail(fault=Fault(status=400, body=f"{KEY} was sent as Basic {header}"))
    outcome = await client.send(addition(), credential())
    assert [request.header("authorization") for request in sim.requests] == [f"Basic {header}"]
    assert KEY not in str(outcome)
    assert base64.b64encode(KEY.encode()).decode() not in str(outcome)


@pytest.mark.parametrize(
    ("key", "fault", "verdict", "said"),
    [
        (KEY, None, Verdict.RIGHT, "Mailchimp accepts this key"),
        ("abc-us6", None, Verdict.WRONG_KEY, "API Key Invalid"),
        (
            KEY,
            Fault(status=403, body=told("Wrong Datacenter", 403)),
            Verdict.WRONG_REGION,
            "Wrong Datacenter",
        ),
        (KEY, Fault(status=403, body=told("Forbidden", 403)), Verdict.WRONG_KEY, "Forbidden"),
        (KEY, Fault(status=403, body=""), Verdict.UNKNOWN, "403"),
        (KEY, Fault(status=200, body="<html>"), Verdict.UNKNOWN, "200"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_key_is_verified_without_writing(
    sim: MailchimpSimulator,
    client: MailchimpClient,
    key: str,
    fault: Fault | None,
    verdict: Verdict,
    said: str,
) -> None:
    if fault is not None:
        sim.fail(fault=fault)
    verified = await client.verify(credential(key))
    assert verified.verdict is verdict
    assert said in verified.message
    assert [request.call for request in sim.requests] == ["ping"]


async def test_audiences_are_offered_over_pages_up_to_a_bound(
    sim: MailchimpSimulator, client: MailchimpClient
) -> None:
    assert await client.options(credential(), "lists") == (Option(NEWS, "News"),)
    for number in range(1_500):
        sim.service.audiences[f"b{number}"] = Audience(f"b{number}", f"List {number}")
    assert len(await client.options(credential(), "lists")) == 1_501
    for number in range(1_500, 6_000):
        sim.service.audiences[f"b{number}"] = Audience(f"b{number}", f"List {number}")
    assert len(await client.options(credential(), "lists")) == 5_000
    assert len(sim.requests) == 1 + 2 + 5


async def test_the_merge_fields_of_the_audiences_are_the_account_s_fields_each_once(
    sim: MailchimpSimulator, client: MailchimpClient
) -> None:
    for number in range(20):
        own = [MergeField("FNAME", "First"), MergeField(f"OWN{number}", "Own", "number")]
        sim.service.audiences[f"b{number}"] = Audience(f"b{number}", "More", own)
    found = await client.fields(credential())
    keys = [one.key for one in found]
    assert keys[:5] == ["FNAME", "LNAME", "ADDRESS", "PHONE", "PLAN"]
    assert keys[5:] == [f"OWN{number}" for number in range(9)]
    assert found[5].description == "A merge field, number."
    assert len(sim.requests) == 1 + 10


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(status=401, body=told("API Key Invalid", 401)), "answer, 401, API Key Invalid, has"),
        (Fault(status=429), "answer, 429 has"),
        (Fault(status=200, body="<html>"), "answer, 200 has"),
        (Fault(status=200, body='{"lists":{}}'), "answer, 200 has"),
        (Fault(body_bytes=10_000_000), "answer, 200 has"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_what_can_t_be_listed_says_why(
    sim: MailchimpSimulator, client: MailchimpClient, fault: Fault, said: str
) -> None:
    sim.fail(fault=fault)
    for listing in (client.options(credential(), "lists"), client.fields(credential())):
        with pytest.raises(NotListed, match=said):
            await listing
    assert len(sim.requests) == 2


@pytest.mark.parametrize(
    "body",
    [
        '{"lists":[1,{"id":2},{"id":"x","name":7}],"merge_fields":[1,{"tag":{}}],"total_items":"x"}',
        '{"lists":[{"id":"x"}],"merge_fields":[{"tag":"X","name":{},"type":[]}]}',
    ],
)
async def test_an_odd_list_breaks_nothing(
    sim: MailchimpSimulator, client: MailchimpClient, body: str
) -> None:
    sim.fail(fault=Fault(status=200, body=body))
    await client.options(credential(), "lists")
    await client.fields(credential())
