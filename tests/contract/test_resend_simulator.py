"""The simulator is a Resend to Resend's own Python client, errors included."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
import resend
from resend.exceptions import ResendError

from destinations.resend.simulator import (
    KEY,
    SEGMENT,
    SENDING,
    TEMPLATE,
    ResendSimulator,
    Template,
)
from destinations.simulator import Fault

EMAIL = "a/b+c@example.com"
MAIL: Any = {
    "from": "Acme <onboarding@resend.dev>",
    "to": [EMAIL],
    "subject": "Hello",
    "template": {"id": TEMPLATE, "variables": {"PLAN": "pro"}},
}


@pytest_asyncio.fixture
async def sim(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ResendSimulator]:
    async with ResendSimulator() as opened:
        monkeypatch.setattr(resend, "api_url", opened.base_urls[""])
        monkeypatch.setattr(resend, "api_key", KEY)
        yield opened


async def call(method: Callable[..., Any], *given: Any) -> Any:
    """Call the client, which blocks, beside the simulator's loop."""
    return await asyncio.to_thread(method, *given)


async def error(method: Callable[..., Any], *given: Any) -> ResendError:
    with pytest.raises(ResendError) as failure:
        await call(method, *given)
    return failure.value


async def test_a_contact_is_created_read_and_updated_by_email(sim: ResendSimulator) -> None:
    missing = await error(resend.Contacts.get, None, None, EMAIL)
    assert (missing.code, missing.error_type) == (404, "not_found")
    made = await call(resend.Contacts.create, {"email": EMAIL, "first_name": "Ada"})
    assert made["object"] == "contact"
    await call(resend.Contacts.update, {"email": EMAIL, "properties": {"plan": "pro"}})
    found = await call(resend.Contacts.get, None, None, EMAIL)
    assert (found["id"], found["first_name"]) == (made["id"], "Ada")
    assert found["properties"] == {"plan": "pro"}
    assert found["unsubscribed"] is False


async def test_a_contact_joins_and_leaves_a_segment(sim: ResendSimulator) -> None:
    await call(resend.Contacts.create, {"email": EMAIL})
    named: Any = {"email": EMAIL, "segment_id": SEGMENT}
    await call(resend.Contacts.Segments.add, named)
    assert sim.service.contacts[0].segments == {SEGMENT}
    left = await call(resend.Contacts.Segments.remove, named)
    assert left["deleted"] is True
    assert not sim.service.contacts[0].segments
    gone = await error(resend.Contacts.Segments.add, {**named, "segment_id": "no-such"})
    assert gone.code == 404


async def test_a_mail_is_sent_once_for_each_idempotency_key(sim: ResendSimulator) -> None:
    now = 1_000_000.0
    sim.service.now = lambda: now
    first = await call(resend.Emails.send, MAIL, {"idempotency_key": "k1"})
    now += 24 * 60 * 60 - 1
    assert (await call(resend.Emails.send, MAIL, {"idempotency_key": "k1"}))["id"] == first["id"]
    assert len(sim.service.mails) == 1
    other = await error(resend.Emails.send, {**MAIL, "subject": "!"}, {"idempotency_key": "k1"})
    assert (other.code, other.error_type) == (409, "invalid_idempotent_request")
    now += 1
    await call(resend.Emails.send, MAIL, {"idempotency_key": "k1"})
    assert len(sim.service.mails) == 2
    long = await error(resend.Emails.send, MAIL, {"idempotency_key": "k" * 257})
    assert (long.code, long.error_type) == (400, "invalid_idempotency_key")


async def test_a_mail_has_what_its_template_lacks(sim: ResendSimulator) -> None:
    sim.service.templates["t2"] = Template("t2", "bare", variables=("PLAN",), subject=None)
    bare: Any = {"from": "a@example.com", "to": EMAIL, "template": {"id": "bare"}}
    missing = await error(resend.Emails.send, bare)
    assert (missing.code, missing.error_type) == (422, "validation_error")
    bare["template"]["variables"] = {"PLAN": "pro"}
    assert (await error(resend.Emails.send, bare)).error_type == "missing_required_field"
    await call(resend.Emails.send, {**bare, "subject": "Hello"})
    assert sim.service.mails[0]["subject"] == "Hello"


async def test_an_event_names_a_contact(sim: ResendSimulator) -> None:
    sent = await call(resend.Events.send, {"event": "signed_up", "email": EMAIL, "payload": {}})
    assert sent["event"] == "signed_up"
    assert (await error(resend.Events.send, {"event": "signed_up"})).code == 422


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("re_unknown", (403, "invalid_api_key")),
        ("re_mails", (401, "restricted_api_key")),
    ],
)
async def test_a_key_is_refused_by_its_permission(
    sim: ResendSimulator, monkeypatch: pytest.MonkeyPatch, key: str, told: tuple[int, str]
) -> None:
    sim.service.keys["re_mails"] = SENDING
    monkeypatch.setattr(resend, "api_key", key)
    failure = await error(resend.Segments.list)
    assert (failure.code, failure.error_type) == told
    if key == "re_mails":
        assert (await call(resend.Emails.send, MAIL))["id"]


async def test_too_many_requests_and_no_mails_left_get_429_by_name(sim: ResendSimulator) -> None:
    sim.service.quota = "daily_quota_exceeded"
    quota = await error(resend.Emails.send, MAIL)
    assert (quota.code, quota.error_type) == (429, "daily_quota_exceeded")
    sim.service.per_second = 1
    limited = await error(resend.Segments.list)
    assert (limited.code, limited.error_type) == (429, "rate_limit_exceeded")
    assert limited.headers["retry-after"] == "1"


async def test_segments_and_templates_are_listed_page_by_page(sim: ResendSimulator) -> None:
    sim.service.segments |= {f"s{number}": f"Segment {number}" for number in range(4)}
    page = await call(resend.Segments.list, {"limit": 3})
    assert page["has_more"] is True
    rest = await call(resend.Segments.list, {"limit": 3, "after": page["data"][-1]["id"]})
    assert rest["has_more"] is False
    names = [one["name"] for one in (*page["data"], *rest["data"])]
    assert names == ["Customers", *(f"Segment {number}" for number in range(4))]
    templates = await call(resend.Templates.list)
    assert templates["data"][0]["status"] == "published"
    properties = await call(resend.ContactProperties.list)
    assert properties["data"][0]["key"] == "plan"


async def test_a_fault_concerns_the_call_that_it_names(sim: ResendSimulator) -> None:
    sim.fail("emails.send", fault=Fault(status=503), times=1)
    assert (await call(resend.Segments.list))["data"]
    assert (await error(resend.Emails.send, MAIL)).code == 503
    assert (await call(resend.Emails.send, MAIL))["id"]
    with pytest.raises(ValueError, match="must be \\* or one of"):
        sim.fail("emails.riddle", fault=Fault())
