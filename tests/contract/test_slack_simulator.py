"""The simulator is a Slack to Slack's own Python client, errors included."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient

from destinations.simulator import Fault
from destinations.slack.simulator import GENERAL, TOKEN, Channel, SlackSimulator


@pytest_asyncio.fixture
async def sim() -> AsyncIterator[SlackSimulator]:
    async with SlackSimulator() as opened:
        yield opened


def client(sim: SlackSimulator, token: str = TOKEN) -> AsyncWebClient:
    return AsyncWebClient(token=token, base_url=f"{sim.base_urls['']}/")


async def error(awaitable: object) -> SlackApiError:
    with pytest.raises(SlackApiError) as failure:
        await awaitable  # type: ignore[misc]
    return failure.value


async def test_a_message_is_posted_and_repeated_in_the_answer(sim: SlackSimulator) -> None:
    answer = await client(sim).chat_postMessage(channel=GENERAL, text="Hello")
    [posted] = sim.service.messages
    assert (posted.channel, posted.text) == (GENERAL, "Hello")
    assert answer["ok"] is True
    assert answer["channel"] == GENERAL
    assert answer["ts"] == answer["message"]["ts"] == posted.ts
    assert answer["message"]["text"] == "Hello"


async def test_the_same_message_is_posted_twice(sim: SlackSimulator) -> None:
    for _ in range(2):
        await client(sim).chat_postMessage(channel=GENERAL, text="Hello")
    assert len(sim.service.messages) == 2


async def test_a_token_is_told_whose_it_is_and_its_scopes(sim: SlackSimulator) -> None:
    answer = await client(sim).auth_test()
    assert answer["team"] == "Acme"
    assert answer.headers["x-oauth-scopes"].split(",") == [
        "chat:write",
        "channels:read",
        "groups:read",
    ]


@pytest.mark.parametrize(
    ("token", "told"),
    [
        ("xoxb-unknown", "invalid_auth"),
        ("xoxb-revoked", "token_revoked"),
        ("xoxb-reader", "missing_scope"),
    ],
)
async def test_a_wrong_token_is_told_inside_a_200(
    sim: SlackSimulator, token: str, told: str
) -> None:
    sim.service.tokens |= {"xoxb-revoked": "token_revoked", "xoxb-reader": "channels:read"}
    failure = await error(client(sim, token).chat_postMessage(channel=GENERAL, text="Hello"))
    assert failure.response["error"] == told
    assert failure.response.status_code == 200
    if told == "missing_scope":
        assert (failure.response["needed"], failure.response["provided"]) == (
            "chat:write",
            "channels:read",
        )
    assert not sim.service.messages


@pytest.mark.filterwarnings("ignore:The top-level `text` argument")
@pytest.mark.parametrize(
    ("channel", "text", "told"),
    [
        ("C404", "Hello", "channel_not_found"),
        ("C0000000002", "Hello", "is_archived"),
        ("C0000000003", "Hello", "not_in_channel"),
        (GENERAL, " ", "no_text"),
    ],
)
async def test_what_can_t_be_posted_is_told_inside_a_200(
    sim: SlackSimulator, channel: str, text: str, told: str
) -> None:
    for one in (
        Channel("C0000000002", "old", archived=True),
        Channel("C0000000003", "closed", member=False),
    ):
        sim.service.channels[one.id] = one
    failure = await error(client(sim).chat_postMessage(channel=channel, text=text))
    assert failure.response["error"] == told
    assert not sim.service.messages


async def test_too_many_messages_a_second_in_one_channel_get_429_and_when_to_come_back(
    sim: SlackSimulator,
) -> None:
    sim.service.per_channel = 1
    sim.service.channels["C0000000002"] = Channel("C0000000002", "other")
    await client(sim).chat_postMessage(channel=GENERAL, text="first")
    failure = await error(client(sim).chat_postMessage(channel=GENERAL, text="second"))
    assert failure.response.status_code == 429
    assert failure.response.headers["Retry-After"] == "1"
    await client(sim).chat_postMessage(channel="C0000000002", text="another channel")
    patient = client(sim)
    patient.retry_handlers.append(AsyncRateLimitErrorRetryHandler(max_retry_count=2))
    await patient.chat_postMessage(channel=GENERAL, text="second")
    assert [one.text for one in sim.service.messages] == ["first", "another channel", "second"]


async def test_channels_are_listed_page_by_page_without_archived_ones(sim: SlackSimulator) -> None:
    for number in range(2, 8):
        id = f"C000000000{number}"
        sim.service.channels[id] = Channel(id, f"channel-{number}", archived=number == 4)
    names, cursor, pages = [], "", 0
    while pages == 0 or cursor:
        answer = await client(sim).conversations_list(
            limit=2, cursor=cursor, exclude_archived=True, types="public_channel,private_channel"
        )
        names += [channel["name"] for channel in answer["channels"]]
        cursor, pages = answer["response_metadata"]["next_cursor"], pages + 1
    assert names == ["general", *(f"channel-{number}" for number in (2, 3, 5, 6, 7))]
    assert pages == 3


async def test_an_unknown_method_is_told_inside_a_200(sim: SlackSimulator) -> None:
    failure = await error(client(sim).api_call("chat.postRiddle"))
    assert failure.response["error"] == "unknown_method"


async def test_a_fault_concerns_the_method_that_it_names(sim: SlackSimulator) -> None:
    sim.fail("chat.postMessage", fault=Fault(status=503), times=1)
    assert (await client(sim).auth_test())["ok"]
    failure = await error(client(sim).chat_postMessage(channel=GENERAL, text="Hello"))
    assert failure.response.status_code == 503
    assert (await client(sim).chat_postMessage(channel=GENERAL, text="Hello"))["ok"]
    with pytest.raises(ValueError, match="must be \\* or one of"):
        sim.fail("chat.postRiddle", fault=Fault())
