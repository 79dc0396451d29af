"""What Resend answers and what follows from it: the error's name decides, not only its status."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from delivery.credential import Credential
from delivery.message import Message
from delivery.outcome import OutcomeCode, Then
from destinations.destination import NotListed, Option, Verdict
from destinations.http.exchange import Http
from destinations.registry import build_messages
from destinations.resend.client import ResendClient
from destinations.resend.simulator import (
    KEY,
    SEGMENT,
    SENDING,
    TEMPLATE,
    Contact,
    ResendSimulator,
    Template,
)
from destinations.simulator import Fault
from tests.contract.judged import DONE, FAILED, HELD, RETRIED, THROTTLED, then
from tests.unit.delivery_samples import event, rule_of

EMAIL = "a/b+łódź?@example.com"
PAYLOAD = {
    "email": EMAIL,
    "firstName": "Łódź",
    "lastName": "Söhne",
    "template_variables": {"PLAN": "a secret plan"},
}


@pytest_asyncio.fixture
async def sim() -> AsyncIterator[ResendSimulator]:
    async with ResendSimulator() as opened:
        yield opened


@pytest_asyncio.fixture
async def client(sim: ResendSimulator) -> AsyncIterator[ResendClient]:
    async with Http() as http:
        yield ResendClient(http, sim.base_urls)


def credential(key: str = KEY) -> Credential:
    return Credential({}, {"api_key": SecretStr(key)})


def messages(action: str, **metadata: Any) -> tuple[Message, ...]:
    rule = rule_of("resend", action=action, **metadata)
    return build_messages(event(PAYLOAD), rule).messages


def contact() -> Message:
    return messages("add_to_segment", id=SEGMENT)[0]


def added(segment: str = SEGMENT) -> Message:
    return messages("add_to_segment", id=segment)[1]


def removed() -> Message:
    return messages("remove_from_segment", id=SEGMENT)[1]


def tracked() -> Message:
    return messages("track_event")[1]


def mail(template: str = TEMPLATE, **metadata: Any) -> Message:
    return messages("send_email_template", id=template, **metadata)[0]


def said(status: int, name: str, message: str = "No.", **headers: str) -> Fault:
    body = json.dumps({"statusCode": status, "name": name, "message": message})
    return Fault(status=status, body=body, headers=headers)


async def test_a_contact_is_created_once_and_then_updated_by_the_same_bytes(
    sim: ResendSimulator, client: ResendClient
) -> None:
    for _ in range(2):
        assert then(await client.send(contact(), credential())) == DONE
    [made] = sim.service.contacts
    assert (made.email, made.first_name, made.last_name) == (EMAIL, "Łódź", "Söhne")
    assert [request.call for request in sim.requests] == [
        "contacts.get",
        "contacts.create",
        "contacts.get",
        "contacts.update",
    ]
    assert sim.requests[1].raw == sim.requests[3].raw == contact().encode()


async def test_somebody_who_has_unsubscribed_stays_so(
    sim: ResendSimulator, client: ResendClient
) -> None:
    sim.service.contacts.append(Contact(EMAIL.upper(), unsubscribed=True, properties={"plan": 1}))
    assert then(await client.send(contact(), credential())) == DONE
    assert then(await client.send(added(), credential())) == DONE
    [found] = sim.service.contacts
    assert found.unsubscribed
    assert found.properties == {"plan": 1}


async def test_a_segment_is_joined_and_left_however_often_it_is_said(
    sim: ResendSimulator, client: ResendClient
) -> None:
    sim.service.contacts.append(Contact(EMAIL))
    for message, expected in ((added(), {SEGMENT}), (removed(), set())):
        for _ in range(2):
            assert then(await client.send(message, credential())) == DONE
            assert sim.service.contacts[0].segments == expected
    assert [request.method for request in sim.requests] == ["POST", "POST", "DELETE", "DELETE"]


async def test_an_event_is_sent_again_when_it_is_tried_again(
    sim: ResendSimulator, client: ResendClient
) -> None:
    for _ in range(2):
        assert then(await client.send(tracked(), credential())) == DONE
    assert len(sim.service.events) == 2
    assert sim.service.events[0]["email"] == EMAIL


async def test_a_mail_is_sent_once_however_often_it_is_tried_within_24_hours(
    sim: ResendSimulator, client: ResendClient
) -> None:
    now = 1_000_000.0
    sim.service.now = lambda: now
    first = await client.send(mail(), credential())
    sim.fail("emails.send", fault=Fault(kind="reset_after_store"), times=1)
    now += 23 * 60 * 60
    with pytest.raises(Exception, match="broke before an answer"):
        await client.send(mail(), credential())
    again = await client.send(mail(), credential())
    assert then(first) == then(again) == DONE
    [sent] = sim.service.mails
    assert json.loads(str(again.response_excerpt)) == {"id": sent["id"]}
    tags: Any = mail().body["tags"]
    keys = {request.header("idempotency-key") for request in sim.requests}
    assert keys == {tags[0]["value"]}


async def test_a_mail_that_was_accepted_with_another_content_is_not_sent_again(
    sim: ResendSimulator, client: ResendClient
) -> None:
    await client.send(mail(), credential())
    changed = await client.send(mail(subject="Another"), credential())
    assert then(changed) == FAILED
    assert "with another content" in changed.message
    assert len(sim.service.mails) == 1


async def test_two_workers_that_create_the_same_contact_make_one(
    sim: ResendSimulator, client: ResendClient
) -> None:
    """The other one creates it after this one has read that it doesn't exist."""
    sim.fail("contacts.get", fault=said(404, "not_found"), times=1)
    sim.service.contacts.append(Contact(EMAIL))
    assert then(await client.send(contact(), credential())) == RETRIED
    assert then(await client.send(contact(), credential())) == DONE
    assert [one.first_name for one in sim.service.contacts] == ["Łódź"]


async def test_without_an_answer_to_the_read_nothing_is_written(
    sim: ResendSimulator, client: ResendClient
) -> None:
    for fault, expected in (
        (said(403, "invalid_api_key"), HELD),
        (said(429, "rate_limit_exceeded", **{"retry-after": "2"}), THROTTLED),
        (Fault(status=503), RETRIED),
        (Fault(status=302, headers={"Location": "http://169.254.169.254/"}), FAILED),
    ):
        sim.clear_faults()
        sim.fail("contacts.get", fault=fault)
        assert then(await client.send(contact(), credential())) == expected
    assert {request.call for request in sim.requests} == {"contacts.get"}


@pytest.mark.parametrize(
    ("fault", "expected", "retry_after"),
    [
        (said(400, "invalid_idempotency_key"), FAILED, None),
        (said(400, "validation_error"), FAILED, None),
        (said(400, "validation_error", "API key is invalid"), HELD, None),
        (said(401, "validation_error", "API key is invalid"), HELD, None),
        (said(401, "missing_api_key"), HELD, None),
        (said(401, "restricted_api_key"), HELD, None),
        (said(403, "invalid_api_key"), HELD, None),
        (said(403, "validation_error", "The domain is not verified."), FAILED, None),
        (said(403, "invalid_from_address"), FAILED, None),
        (said(404, "not_found"), FAILED, None),
        (said(409, "invalid_idempotent_request"), FAILED, None),
        (said(409, "concurrent_idempotent_requests"), RETRIED, None),
        (said(422, "missing_required_field"), FAILED, None),
        (said(429, "rate_limit_exceeded", **{"retry-after": "2"}), THROTTLED, "2"),
        (said(429, "daily_quota_exceeded", **{"retry-after": "2"}), THROTTLED, "3600"),
        (said(429, "monthly_quota_exceeded"), THROTTLED, "3600"),
        (said(451, "security_error"), FAILED, None),
        (said(500, "application_error"), RETRIED, None),
        (said(422, "an_error_of_tomorrow"), FAILED, None),
    ],
    ids=lambda value: str(value)[-70:],
)
async def test_an_error_is_judged_by_its_name(
    sim: ResendSimulator,
    client: ResendClient,
    fault: Fault,
    expected: tuple[Then, OutcomeCode],
    retry_after: str | None,
) -> None:
    sim.fail("emails.send", fault=fault)
    outcome = await client.send(mail(), credential())
    assert then(outcome) == expected
    assert outcome.retry_after == retry_after
    assert outcome.inactive_reason == "authentication_invalid"
    assert len(sim.requests) == 1


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(status=200, body="<html>Log in to the hotel's network"), RETRIED),
        (Fault(status=200, body=""), RETRIED),
        (Fault(status=204), RETRIED),
        (Fault(status=200, body="[1]"), RETRIED),
        (Fault(status=200, body="[" * 100_000), RETRIED),
        (Fault(status=200, body_bytes=10_000_000), RETRIED),
        (Fault(status=302, headers={"Location": "http://169.254.169.254/"}), FAILED),
        (Fault(status=403, body="<html>Forbidden"), HELD),
        (Fault(status=429, body="<html>", headers={"Retry-After": "30"}), THROTTLED),
        (Fault(status=503, body="{}"), RETRIED),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_whatever_else_answers_is_not_resend_s_acceptance(
    sim: ResendSimulator, client: ResendClient, fault: Fault, expected: tuple[Then, OutcomeCode]
) -> None:
    sim.fail(fault=fault)
    outcome = await client.send(mail(), credential())
    assert then(outcome) == expected
    assert len(sim.requests) == 1
    assert len(outcome.response_excerpt or "") <= 2_000


async def test_of_an_answer_only_what_names_nobody_is_kept(
    sim: ResendSimulator, client: ResendClient
) -> None:
    sim.service.contacts.append(Contact(EMAIL))
    joined = await client.send(added(), credential())
    assert json.loads(str(joined.response_excerpt))["segment_id"] == SEGMENT
    told = f"{EMAIL} Łódź Söhne: a secret plan, template {TEMPLATE} is bad, key {KEY}"
    for message in (contact(), added(), tracked(), mail()):
        sim.clear_faults()
        write = {"identify": "contacts.update", "send": "emails.send"}.get(message.call, "*")
        sim.fail(write, fault=said(422, "validation_error", told))
        outcome = await client.send(message, credential())
        said_of = {"identify": ("Łódź", "Söhne"), "send": ("a secret plan",)}
        for value in (EMAIL, KEY, *said_of.get(message.call, ())):
            assert value not in f"{outcome}"
        assert f"template {TEMPLATE} is bad" in str(outcome.response_excerpt)


@pytest.mark.parametrize("template", ["no-such", "draft"])
async def test_a_template_that_is_gone_fails_the_delivery(
    sim: ResendSimulator, client: ResendClient, template: str
) -> None:
    sim.service.templates["t2"] = Template("t2", "draft", published=False)
    assert then(await client.send(mail(template), credential())) == FAILED
    assert not sim.service.mails


async def test_a_segment_that_was_deleted_fails_the_delivery(
    sim: ResendSimulator, client: ResendClient
) -> None:
    sim.service.contacts.append(Contact(EMAIL))
    assert then(await client.send(added("no-such"), credential())) == FAILED


@pytest.mark.parametrize(
    ("key", "verdict", "told"),
    [
        (KEY, Verdict.RIGHT, "Resend accepts this key"),
        ("re_mails", Verdict.RIGHT, "only for mails"),
        ("re_unknown", Verdict.WRONG_KEY, "invalid_api_key"),
        ("re_deleted", Verdict.WRONG_KEY, "validation_error"),
    ],
)
async def test_a_key_is_verified_without_writing(
    sim: ResendSimulator, client: ResendClient, key: str, verdict: Verdict, told: str
) -> None:
    sim.service.keys |= {"re_mails": SENDING, "re_deleted": "validation_error"}
    verified = await client.verify(credential(key))
    assert verified.verdict is verdict
    assert told in verified.message
    assert [request.call for request in sim.requests] == ["segments.list"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=200, body="<html>"),
        said(429, "rate_limit_exceeded"),
    ],
)
async def test_a_key_that_can_t_be_checked_is_not_called_wrong(
    sim: ResendSimulator, client: ResendClient, fault: Fault
) -> None:
    sim.fail(fault=fault)
    assert (await client.verify(credential())).verdict is Verdict.UNKNOWN


async def test_segments_and_published_templates_are_listed_over_pages_up_to_a_bound(
    sim: ResendSimulator, client: ResendClient
) -> None:
    assert await client.options(credential(), "segments") == (Option(SEGMENT, "Customers"),)
    sim.service.templates["t2"] = Template("t2", "draft", published=False)
    assert await client.options(credential(), "templates") == (Option(TEMPLATE, "welcome"),)
    sim.service.segments |= {f"s{number}": f"Segment {number}" for number in range(1_200)}
    listed = await client.options(credential(), "segments")
    assert len(listed) == len(set(listed)) == 1_000
    assert len(sim.requests) == 2 + 10


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (said(401, "restricted_api_key"), "Resend says restricted_api_key"),
        (Fault(status=429), "answer, 429, can't be read"),
        (Fault(status=200, body='{"data":{"id":"1"}}'), "answer, 200"),
        (Fault(body_bytes=10_000_000), "answer, 200"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_what_can_t_be_listed_says_why(
    sim: ResendSimulator, client: ResendClient, fault: Fault, told: str
) -> None:
    sim.fail(fault=fault)
    with pytest.raises(NotListed, match=told):
        await client.options(credential(), "segments")
    assert len(sim.requests) == 1


async def test_of_a_list_only_what_has_an_id_is_shown(
    sim: ResendSimulator, client: ResendClient
) -> None:
    odd = {"has_more": True, "data": [1, {"id": 2}, {"id": "s5"}, {"id": "s6", "name": "six"}]}
    empty = {"has_more": True, "data": []}
    sim.fail(fault=Fault(status=200, body=json.dumps(odd)), times=1)
    sim.fail(fault=Fault(status=200, body=json.dumps(empty)))
    listed = await client.options(credential(), "segments")
    assert listed == (Option("s5", "s5"), Option("s6", "six"))
    assert len(sim.requests) == 2


async def test_the_account_s_own_contact_properties_are_listed(
    sim: ResendSimulator, client: ResendClient
) -> None:
    sim.service.properties["seats"] = "number"
    assert [one.key for one in await client.fields(credential())] == ["plan", "seats"]
    sim.fail(fault=said(401, "restricted_api_key"))
    with pytest.raises(NotListed, match="Resend says restricted_api_key"):
        await client.fields(credential())
