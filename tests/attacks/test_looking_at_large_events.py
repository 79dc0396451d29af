"""Looking at a large event shows part of it, and builds nothing that history has."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

import eventlog.deliveries
from delivery.size import LARGEST_PAYLOAD, MOST_VALUES
from destinations.customerio.simulator import Fault
from destinations.registry import build_messages
from starter.console.json_view import MORE, MOST_CHARACTERS
from tests.api.caller import Api
from tests.console.site import Site, sign_in
from tests.integration.stack import SAMPLE

pytestmark = pytest.mark.slow

# Of a page beside the JSON on it: what frames it, and its deliveries.
FRAME = 40_000


def largest() -> dict[str, Any]:
    """As many keys, and nearly as many bytes, as an event may have."""
    text = "x" * (LARGEST_PAYLOAD // MOST_VALUES - 14)
    return SAMPLE | {f"k{n}": text for n in range(MOST_VALUES - 1 - len(SAMPLE))}


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The rules for which messages were built to show a log."""
    rules: list[str] = []

    def counting(event: Any, rule: Any) -> Any:
        rules.append(rule.id)
        return build_messages(event, rule)

    monkeypatch.setattr(eventlog.deliveries, "build_messages", counting)
    return rules


async def test_log_of_an_ended_event_builds_nothing_again(api: Api, built: list[str]) -> None:
    await api.stack.rule(on_limit="drop")
    id = (await api.emitted({"event": "user.signup", "payload": largest()}))["id"]
    ended = await api.ended(id)
    assert ended["status"] == "completed"
    built.clear()
    event = await api.event(id)
    assert "accepts 300 per call" in str(event["rule_events"][0]["warnings"])
    assert built == []


async def test_log_of_an_open_event_builds_once_for_all_rules_alike(
    api: Api, built: list[str]
) -> None:
    connection = await api.stack.connection()
    for _ in range(4):
        await api.stack.rule(connection, on_limit="drop")
    api.stack.sim.fail(fault=Fault(status=503, headers={"Retry-After": "600"}))
    id = (await api.emitted({"event": "user.signup", "payload": largest()}))["id"]
    await api.reached(id, "retrying")
    built.clear()
    event = await api.event(id)
    assert [len(one["warnings"]) > 0 for one in event["rule_events"]] == [True] * 4
    assert len(built) == 1
    await api.stack.client.get_workflow_handle(id).terminate()


async def test_event_is_shown_without_its_payload_and_the_payload_is_whole(api: Api) -> None:
    payload = largest()
    id = (await api.emitted({"event": "user.signup", "payload": payload}))["id"]
    await api.ended(id)
    assert len((await api.get(f"/events/{id}")).content) < 4_000
    assert (await api.get(f"/events/{id}/payload")).json()["payload"] == payload


async def test_page_shows_a_part_and_no_form_is_filled_with_it(plain_site: Site) -> None:
    stack = plain_site.stack
    connection = await stack.connection()
    for _ in range(10):
        await stack.rule(connection, on_limit="drop")
    handle = await stack.emit(payload=largest())
    await stack.ended(handle)
    async with httpx.AsyncClient(base_url=plain_site.url, timeout=40) as http:
        await sign_in(http, plain_site.access_key, plain_site.secret_key)
        page = await http.get(plain_site.at(f"/events/{handle.id}"))
        form = await http.get(plain_site.at("/rules/new?event=user.signup"))
    assert page.status_code == form.status_code == 200
    assert MORE.split(":")[0] in page.text
    assert len(page.text) < MOST_CHARACTERS + 3 * FRAME
    assert "k9000" not in form.text
    assert len(form.text) < FRAME
