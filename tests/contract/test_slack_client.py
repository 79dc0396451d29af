"""What Slack answers and what follows from it: an error inside a 200 is one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from pydantic import SecretStr

from delivery.credential import Credential
from delivery.message import Message
from delivery.outcome import OutcomeCode, Then
from destinations.destination import NotListed, Option, Verdict
from destinations.http.exchange import Http
from destinations.registry import build_messages
from destinations.simulator import Fault
from destinations.slack.client import SlackClient
from destinations.slack.simulator import GENERAL, TOKEN, Channel, SlackSimulator
from tests.contract.judged import DONE, FAILED, HELD, RETRIED, THROTTLED, then
from tests.unit.delivery_samples import event, rule_of

TEMPLATE = "{{user.name}} (new) signed up: {{email}}"
PAYLOAD = {"email": "test@example.com", "user": {"name": "Łódź & Söhne"}}


@pytest_asyncio.fixture
async def sim() -> AsyncIterator[SlackSimulator]:
    async with SlackSimulator() as opened:
        yield opened


@pytest_asyncio.fixture
async def client(sim: SlackSimulator) -> AsyncIterator[SlackClient]:
    async with Http() as http:
        yield SlackClient(http, sim.base_urls)


def credential(token: str = TOKEN) -> Credential:
    return Credential({}, {"access_token": SecretStr(token)})


def message(template: str = TEMPLATE, channel: str = GENERAL) -> Message:
    rule = rule_of("slack", action="send_message", id=channel, template=template)
    [built] = build_messages(event(PAYLOAD), rule).messages
    return built


async def test_a_message_is_posted_as_it_was_built(
    sim: SlackSimulator, client: SlackClient
) -> None:
    outcome = await client.send(message(), credential())
    assert then(outcome) == DONE
    [posted] = sim.service.messages
    assert posted.text == "Łódź &amp; Söhne (new) signed up: test@example.com"
    [request] = sim.requests
    assert request.raw == message().encode()
    assert request.header("authorization") == f"Bearer {TOKEN}"
    assert request.header("content-type") == "application/json; charset=utf-8"


async def test_of_an_answer_only_what_names_nobody_is_kept(
    sim: SlackSimulator, client: SlackClient
) -> None:
    accepted = await client.send(message(), credential())
    [posted] = sim.service.messages
    assert json.loads(str(accepted.response_excerpt)) == {
        "ok": True,
        "channel": GENERAL,
        "ts": posted.ts,
    }
    told = {"ok": False, "error": "Łódź was here", "response_metadata": {"messages": ["Łódź"]}}
    sim.fail(fault=Fault(status=200, body=json.dumps(told)))
    refused = await client.send(message(), credential())
    assert then(refused) == FAILED
    assert refused.message == "200: Slack says an unnamed error"
    assert "Łódź" not in f"{refused}"
    sim.clear_faults()
    sim.fail(fault=Fault(status=500, body="<p>Can't post: Söhne signed up, Łódź &amp; so on"))
    broken = await client.send(message(), credential())
    for word in ("Söhne", "Łódź", "signed"):
        assert word not in str(broken.response_excerpt)
    assert "Can't post" in str(broken.response_excerpt)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("ratelimited", THROTTLED),
        ("rate_limited", THROTTLED),
        ("internal_error", RETRIED),
        ("fatal_error", RETRIED),
        ("request_timeout", RETRIED),
        ("service_unavailable", RETRIED),
        ("team_added_to_org", RETRIED),
        ("invalid_auth", HELD),
        ("not_authed", HELD),
        ("token_revoked", HELD),
        ("token_expired", HELD),
        ("account_inactive", HELD),
        ("missing_scope", HELD),
        ("not_allowed_token_type", HELD),
        ("channel_not_found", FAILED),
        ("not_in_channel", FAILED),
        ("is_archived", FAILED),
        ("msg_too_long", FAILED),
        ("message_limit_exceeded", FAILED),
        ("an_error_of_tomorrow", FAILED),
    ],
)
async def test_an_error_inside_a_200_is_judged_by_its_name(
    sim: SlackSimulator, client: SlackClient, error: str, expected: tuple[Then, OutcomeCode]
) -> None:
    sim.fail(fault=Fault(status=200, body=json.dumps({"ok": False, "error": error})))
    outcome = await client.send(message(), credential())
    assert then(outcome) == expected
    assert outcome.message == f"200: Slack says {error}"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("account_inactive", "oauth_authorization_revoked"),
        ("token_revoked", "oauth_authorization_revoked"),
        ("token_expired", "oauth_reauthorization_required"),
        ("missing_scope", "oauth_reauthorization_required"),
        ("invalid_auth", "authentication_invalid"),
        ("not_authed", "authentication_invalid"),
        ("not_allowed_token_type", "authentication_invalid"),
    ],
)
async def test_a_refused_token_is_wrong_revoked_or_to_be_authorized_again(
    sim: SlackSimulator, client: SlackClient, error: str, reason: str
) -> None:
    sim.service.tokens[TOKEN] = error
    outcome = await client.send(message(), credential())
    assert (then(outcome), outcome.inactive_reason) == (HELD, reason)


@pytest.mark.parametrize(
    ("channel", "expected"),
    [("C404", "channel_not_found"), ("C2", "is_archived"), ("C3", "not_in_channel")],
)
async def test_a_channel_that_is_gone_fails_the_delivery(
    sim: SlackSimulator, client: SlackClient, channel: str, expected: str
) -> None:
    sim.service.channels["C2"] = Channel("C2", "old", archived=True)
    sim.service.channels["C3"] = Channel("C3", "closed", member=False)
    outcome = await client.send(message(channel=channel), credential())
    assert then(outcome) == FAILED
    assert outcome.message.endswith(expected)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(status=200, body="<html>Log in to the hotel's network"), RETRIED),
        (Fault(status=200, body=""), RETRIED),
        (Fault(status=204), RETRIED),
        (Fault(status=200, body='{"ok":"true"}'), RETRIED),
        (Fault(status=200, body='{"ok":1}'), RETRIED),
        (Fault(status=200, body="[true]"), RETRIED),
        (Fault(status=200, body="[" * 100_000), RETRIED),
        (Fault(status=200, body_bytes=10_000_000), RETRIED),
        (Fault(status=200, headers={"Content-Encoding": "gzip"}, body='{"ok":true}'), DONE),
        (Fault(status=302, headers={"Location": "http://169.254.169.254/"}), FAILED),
        (Fault(status=400, body='{"ok":true}'), FAILED),
        (Fault(status=403, body='{"ok":false,"error":"invalid_auth"}'), HELD),
        (Fault(status=429, headers={"Retry-After": "30"}), THROTTLED),
        (Fault(status=503, body='{"ok":true}'), RETRIED),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_whatever_else_answers_is_not_slack_s_acceptance(
    sim: SlackSimulator, client: SlackClient, fault: Fault, expected: tuple[Then, OutcomeCode]
) -> None:
    sim.fail(fault=fault)
    outcome = await client.send(message(), credential())
    assert then(outcome) == expected
    assert len(sim.requests) == 1
    assert len(outcome.response_excerpt or "") <= 2_000
    assert outcome.retry_after == fault.headers.get("Retry-After")


async def test_an_accepted_message_is_accepted_though_its_answer_is_larger_than_is_read(
    sim: SlackSimulator, client: SlackClient
) -> None:
    outcome = await client.send(message("ä" * 9_990 + "{{email}}"), credential())
    assert then(outcome) == DONE
    long = json.dumps({"ok": True, "channel": GENERAL, "message": {"text": "\u00e4" * 40_000}})
    assert len(long) > 64 * 1024
    sim.fail(fault=Fault(status=200, body=long), times=1)
    assert then(await client.send(message(), credential())) == DONE
    refused = json.dumps({"ok": False, "error": "x" * 100_000})
    sim.fail(fault=Fault(status=200, body=refused))
    assert then(await client.send(message(), credential())) == RETRIED


@pytest.mark.parametrize(
    ("token", "verdict", "told"),
    [
        (TOKEN, Verdict.RIGHT, "Slack accepts this token"),
        ("xoxb-unknown", Verdict.WRONG_KEY, "invalid_auth"),
        ("xoxb-revoked", Verdict.WRONG_KEY, "token_revoked"),
        ("xoxb-reader", Verdict.WRONG_KEY, "lacks the scope chat:write"),
    ],
)
async def test_a_token_is_verified_without_posting(
    sim: SlackSimulator, client: SlackClient, token: str, verdict: Verdict, told: str
) -> None:
    sim.service.tokens |= {"xoxb-revoked": "token_revoked", "xoxb-reader": "channels:read"}
    verified = await client.verify(credential(token))
    assert verified.verdict is verdict
    assert told in verified.message
    assert [request.call for request in sim.requests] == ["auth.test"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=200, body="<html>"),
        Fault(status=200, body='{"ok":false,"error":"fatal_error"}'),
    ],
)
async def test_a_token_that_can_t_be_checked_is_not_called_wrong(
    sim: SlackSimulator, client: SlackClient, fault: Fault
) -> None:
    sim.fail(fault=fault)
    assert (await client.verify(credential())).verdict is Verdict.UNKNOWN


async def test_channels_are_listed_without_archived_ones_over_pages_up_to_a_bound(
    sim: SlackSimulator, client: SlackClient
) -> None:
    assert await client.options(credential(), "channels") == (Option(GENERAL, "#general"),)
    for number in range(1, 1_200):
        sim.service.channels[f"C{number}"] = Channel(f"C{number}", f"n{number}", number == 5)
    listed = await client.options(credential(), "channels")
    assert len(listed) == 1_000
    assert listed[5:7] == (Option("C6", "#n6"), Option("C7", "#n7"))
    assert len(sim.requests) == 1 + 5
    assert {(request.method, request.call) for request in sim.requests} == {
        ("GET", "conversations.list")
    }


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (
            Fault(status=200, body='{"ok":false,"error":"missing_scope"}'),
            "Slack says missing_scope",
        ),
        (Fault(status=429, headers={"Retry-After": "30"}), "answer, 429, can't be read"),
        (Fault(status=200, body='{"ok":true,"channels":[1,{"id":2}],"x":'), "answer, 200"),
        (Fault(status=200, body='{"ok":true,"channels":{"id":"C1"}}'), "answer, 200"),
        (Fault(body_bytes=10_000_000), "answer, 200"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_channels_that_can_t_be_listed_say_why(
    sim: SlackSimulator, client: SlackClient, fault: Fault, told: str
) -> None:
    sim.fail(fault=fault)
    with pytest.raises(NotListed, match=told):
        await client.options(credential(), "channels")
    assert len(sim.requests) == 1


async def test_of_a_list_only_what_has_an_id_is_shown(
    sim: SlackSimulator, client: SlackClient
) -> None:
    odd = {"ok": True, "channels": [1, {"id": 2}, {"id": "C5"}, {"id": "C6", "name": "six"}]}
    sim.fail(fault=Fault(status=200, body=json.dumps(odd)))
    listed = await client.options(credential(), "channels")
    assert listed == (Option("C5", "#C5"), Option("C6", "#six"))
