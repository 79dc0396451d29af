"""A vendor says that a token was revoked, or must be authorized again: events wait, and every
place that shows the connection says which it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from catalog.connections import Connection
from catalog.traffic import Waiting
from delivery.alert import WatchState
from delivery.result import Status
from destinations.hubspot import simulator as hubspot
from destinations.slack import simulator as slack
from tests.api.caller import open_api
from tests.console.site import first_choices, open_site, sign_in
from tests.console.test_embed_pages import embedded
from tests.integration.stack import Stack, is_held
from tests.operations.processes import command
from tests.operations.test_alerts import search_of
from tests.ship.test_doctor import examined


@dataclass(frozen=True)
class Refusal:
    """A token that the vendor refuses with `answer`, and what emitonce then says about it."""

    type: str
    token: str
    scopes: str
    rule: dict[str, Any]
    answer: str
    reason: str
    said: str
    page: str


REVOKED = Refusal(
    "slack",
    slack.TOKEN,
    slack.SCOPES,
    {"action": "send_message", "id": slack.GENERAL, "template": "{{email}}"},
    "token_revoked",
    "oauth_authorization_revoked",
    "Slack refuses the revoked token",
    "The token was revoked at the destination",
)
EXPIRED = Refusal(
    "hubspot",
    hubspot.TOKEN,
    hubspot.SCOPES,
    {"action": "track_event", "id": hubspot.SIGNED_UP},
    "EXPIRED_AUTHENTICATION",
    "oauth_reauthorization_required",
    "HubSpot requires a new authorization for the token",
    "The destination requires a new authorization",
)


@pytest.mark.parametrize(
    "refusal", [REVOKED, pytest.param(EXPIRED, marks=pytest.mark.slow)], ids=lambda one: one.reason
)
async def test_everyone_is_told_why_events_wait_until_there_is_another_token(
    stack: Stack, refusal: Refusal
) -> None:
    connection = await stack.connect(refusal.type, "Theirs", access_token=refusal.token)
    await stack.rule(connection, **refusal.rule)
    service = stack.simulators[refusal.type].service
    assert (await stack.ended(await stack.emit())).status is Status.COMPLETED

    service.tokens = {refusal.token: refusal.answer, "xoxb-another": refusal.scopes}
    events = [await stack.emit()]
    await stack.log_when(events[0], is_held)
    events.append(await stack.emit())
    log = await stack.log_when(events[1], is_held)
    assert log.deliveries[0].held == f"held: {refusal.said}"
    await told_by_pages(stack, connection, refusal)
    await told_to_operators(stack, connection, refusal)

    async with open_api(stack) as api:
        path = f"/connections/{connection.id}"
        shown = (await api.get(path)).json()
        assert (shown["active"], shown["inactive_reason"]) == (False, refusal.reason)
        changed = {"name": "Theirs", "metadata": {"access_token": "xoxb-another"}}
        shown = (await api.call("PUT", path, changed)).json()
        assert (shown["active"], shown.get("inactive_reason")) == (True, None)
    for event in events:
        assert (await stack.ended(event)).status is Status.COMPLETED
    effects = service.messages if refusal is REVOKED else service.occurrences
    assert len(effects) == 3


async def told_by_pages(stack: Stack, connection: Connection, refusal: Refusal) -> None:
    async with open_site(stack) as site:
        page = site.at(f"/connections/{connection.id}")
        async with httpx.AsyncClient(base_url=site.url) as http:
            await sign_in(http, site.access_key, site.secret_key)
            shown = (await http.get(page)).text
        assert refusal.page in shown
        assert first_choices(shown) == ["Save changes"]
        async with embedded(site) as customer:
            assert refusal.page in (await customer.get(page)).text


async def told_to_operators(stack: Stack, connection: Connection, refusal: Refusal) -> None:
    said = f"{refusal.said} of “Theirs”"
    await stack.catalog.traffic.set_waiting({connection.id: Waiting(2)})
    async with open_api(stack) as api:
        advice = (await api.get("/status")).json()["advice"]
        assert said in advice
        assert "Enter a valid one: " in advice
    seen = await search_of(stack).find_alerts(WatchState(failed_until=datetime.now(UTC)))
    assert f"since {refusal.said};" in seen.alerts[0].message
    if refusal is REVOKED:
        found = await command(stack, "connections", "show", connection.id)
        assert refusal.reason in found.out
        _, findings = await examined(stack)
        assert said in findings["deliveries"]["said"]
