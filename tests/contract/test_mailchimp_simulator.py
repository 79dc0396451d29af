"""The simulator is a Mailchimp to Mailchimp's own Python client, errors included."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from mailchimp_marketing import Client
from mailchimp_marketing.api_client import ApiClientError

from destinations.mailchimp.destination import MAILCHIMP
from destinations.mailchimp.simulator import (
    KEY,
    NEWS,
    MailchimpSimulator,
    MergeField,
    Occurrence,
    hash_of,
)
from destinations.simulator import Fault

EMAIL = "Test@Example.com"


@pytest_asyncio.fixture
async def sim() -> AsyncIterator[MailchimpSimulator]:
    async with MailchimpSimulator() as opened:
        yield opened


def client(sim: MailchimpSimulator, key: str = KEY) -> Any:
    made = Client({"api_key": key})
    made.api_client.host = sim.base_urls[""]
    return made


async def call(method: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """Call the client, which blocks, beside the simulator's loop."""
    return await asyncio.to_thread(method, *given, **named)


async def error(method: Callable[..., Any], *given: Any, **named: Any) -> tuple[int, Any]:
    with pytest.raises(ApiClientError) as failure:
        await call(method, *given, **named)
    return failure.value.status_code, json.loads(failure.value.text)


async def put(sim: MailchimpSimulator, email: str = EMAIL, **more: Any) -> Any:
    body = {"email_address": email, "status_if_new": "subscribed", **more}
    return await call(client(sim).lists.set_list_member, NEWS, hash_of(email), body)


async def refused(sim: MailchimpSimulator, email: str = EMAIL, **more: Any) -> tuple[int, Any]:
    body = {"email_address": email, "status_if_new": "subscribed", **more}
    return await error(client(sim).lists.set_list_member, NEWS, hash_of(email), body)


async def test_a_contact_is_created_and_then_updated(sim: MailchimpSimulator) -> None:
    made = await put(sim, merge_fields={"FNAME": "Ada", "RIDDLE": "x"}, ip_signup="203.0.113.7")
    assert (made["id"], made["status"]) == (hash_of(EMAIL), "subscribed")
    assert (made["merge_fields"], made["ip_signup"]) == ({"FNAME": "Ada"}, "203.0.113.7")
    kept = await put(sim, status_if_new="unsubscribed", merge_fields={"LNAME": "L"})
    assert kept["status"] == "subscribed"
    assert kept["full_name"] == "Ada L"
    left = await put(sim, status="unsubscribed")
    assert (left["status"], left["contact_id"]) == ("unsubscribed", made["contact_id"])
    assert len(sim.service.audiences[NEWS].contacts) == 1


async def test_who_left_by_themselves_can_only_be_asked_again(sim: MailchimpSimulator) -> None:
    await put(sim)
    sim.service.audiences[NEWS].leave(EMAIL)
    status, told = await refused(sim, status="subscribed")
    assert (status, told["title"]) == (400, "Member In Compliance State")
    assert (await put(sim))["status"] == "unsubscribed"
    assert (await put(sim, status="pending"))["status"] == "pending"


async def test_who_was_deleted_permanently_is_refused(sim: MailchimpSimulator) -> None:
    await put(sim)
    sim.service.audiences[NEWS].forget(EMAIL)
    status, told = await refused(sim)
    assert (status, told["title"]) == (400, "Forgotten Email Not Subscribed")


@pytest.mark.parametrize(
    ("email", "more", "field"),
    [
        ("nobody", {}, None),
        (EMAIL, {"status": "riddle"}, "status"),
        (EMAIL, {"merge_fields": {"FNAME": ["a"]}}, "merge_fields.FNAME"),
        (EMAIL, {"merge_fields": {"LNAME": "x"}}, "SIZE"),
    ],
)
async def test_what_is_not_valid_is_refused_by_field(
    sim: MailchimpSimulator, email: str, more: dict[str, Any], field: str | None
) -> None:
    sim.service.audiences[NEWS].merge_fields.append(MergeField("SIZE", "Size", required=True))
    status, told = await refused(sim, email, **more)
    assert (status, told["title"]) == (400, "Invalid Resource")
    assert [one["field"] for one in told["errors"]] == ([field] if field else [])
    assert not sim.service.audiences[NEWS].contacts


async def test_what_forms_require_can_be_left_out(sim: MailchimpSimulator) -> None:
    sim.service.audiences[NEWS].merge_fields.append(MergeField("SIZE", "Size", required=True))
    body = {"email_address": EMAIL, "status_if_new": "subscribed"}
    lists = client(sim).lists
    made = await call(lists.set_list_member, NEWS, hash_of(EMAIL), body, skip_merge_validation=True)
    assert made["status"] == "subscribed"


async def test_an_event_is_recorded_each_time_it_is_sent(sim: MailchimpSimulator) -> None:
    lists, body = client(sim).lists, {"name": "signed_up", "properties": {"plan": "pro"}}
    status, told = await error(lists.create_list_member_event, NEWS, hash_of(EMAIL), body)
    assert (status, told["title"]) == (404, "Resource Not Found")
    await put(sim)
    for _ in range(2):
        answer = await call(lists.create_list_member_event, NEWS, hash_of(EMAIL), body)
        assert answer.status_code == 204
    assert sim.service.occurrences == [Occurrence(EMAIL, "signed_up", {"plan": "pro"}, "")] * 2
    for wrong in ({"name": "x"}, {"name": "x" * 31}, {"name": "ok", "properties": {"n": 7}}):
        status, told = await error(lists.create_list_member_event, NEWS, hash_of(EMAIL), wrong)
        assert (status, told["title"]) == (400, "Invalid Resource")


async def test_audiences_and_their_merge_fields_are_listed(sim: MailchimpSimulator) -> None:
    api = client(sim)
    found = await call(api.lists.get_all_lists, count=1, offset=0)
    assert [(one["id"], one["name"]) for one in found["lists"]] == [(NEWS, "News")]
    assert found["total_items"] == 1
    fields = await call(api.lists.get_list_merge_fields, NEWS, count=2, offset=1)
    assert [one["tag"] for one in fields["merge_fields"]] == ["LNAME", "ADDRESS"]
    assert fields["total_items"] == 5
    status, told = await error(api.lists.get_list_merge_fields, "gone")
    assert (status, told["title"]) == (404, "Resource Not Found")


async def test_a_key_is_checked(sim: MailchimpSimulator) -> None:
    assert (await call(client(sim).ping.get))["health_status"] == "Everything's Chimpy!"
    status, told = await error(client(sim, "abc-us6").ping.get)
    assert (status, told["title"]) == (401, "API Key Invalid")


async def test_more_requests_at_once_than_mailchimp_accepts_are_refused(
    sim: MailchimpSimulator,
) -> None:
    assert sim.service.at_once == MAILCHIMP.in_flight
    sim.service.at_once = 2
    sim.fail("member", fault=Fault(kind="stall"), times=2)
    slow = [asyncio.create_task(put(sim, f"{n}@example.com")) for n in range(2)]
    await sim.until(lambda: len(sim.under_way) == 2)
    status, told = await error(client(sim).ping.get)
    assert (status, told["title"]) == (429, "Too Many Requests")
    await sim.refuse_connections("")
    await asyncio.gather(*slow, return_exceptions=True)
    assert not sim.under_way
