"""The banner on every page, and the page on which alerts are set."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import httpx
import pytest_asyncio

from catalog.traffic import Waiting
from delivery.alert import LastResponse
from delivery.outcome import OutcomeCode
from delivery.traffic import Tally
from tests.console.site import Site, sign_in, token_in
from tests.operations.alert_receiver import open_receiver

ERROR = LastResponse(
    call="identify",
    outcome_code=OutcomeCode.REJECTED_SERVER_ERROR,
    status_code=503,
    message="503",
)


@asynccontextmanager
async def signed_in(url: str, access_key: str, secret_key: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, follow_redirects=True, timeout=30) as http:
        await sign_in(http, access_key, secret_key)
        yield http


@pytest_asyncio.fixture
async def http(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with signed_in(site.url, site.access_key, site.secret_key) as http:
        yield http


async def test_two_hundred_broken_connections_are_one_sentence(site: Site) -> None:
    """In an organization of its own, since the banner counts all connections of one."""
    catalog = site.stack.catalog
    organization = (await catalog.organizations.create("Acme group")).id
    workspace = (await catalog.workspaces.create(organization, name="Acme app")).id
    stack = replace(site.stack, organization=organization, workspace=workspace)
    connections = [await stack.connection(f"Connection {number}") for number in range(200)]
    failing = Tally(last_failure=0.0, last_error=ERROR, failing_since=0.0, failures=9)
    await catalog.traffic.add({one.id: failing for one in connections}, now=5.0)
    await catalog.traffic.set_waiting({one.id: Waiting(2) for one in connections})
    key = await catalog.machine_keys.create(organization, name="Ada", created_by="test")
    secret = key.secret_key.get_secret_value()
    async with signed_in(site.url, key.key.access_key, secret) as http:
        banner = (await http.get("/banner")).text
        assert banner.count("Customer.io answers 503 on") == 1
        assert "and 197 more connections" in banner
        assert "On their side." in banner
        page = (await http.get(site.at("/events", workspace=workspace))).text
        assert 'hx-get="/banner"' in page


async def test_alerts_are_set_tested_and_removed(site: Site, http: httpx.AsyncClient) -> None:
    async with open_receiver() as receiver:
        receiver.accepts_unsigned = True
        page = await http.get("/alerts")
        assert "nobody is notified" in page.text

        async def post(path: str, **fields: str) -> httpx.Response:
            return await http.post(path, data={"csrf": token_in(page), **fields})

        refused = await post("/alerts", url="http://alerts.example/secret-part", format="slack")
        assert refused.status_code == 400
        assert "must start with https://" in refused.text
        assert "secret-part" not in refused.text
        kept = await post("/alerts", url=receiver.url, format="slack")
        assert urlsplit(receiver.url).netloc in kept.text
        assert "/alerts…" not in kept.text
        tried = await post("/alerts/test")
        assert "Arrived" in tried.text
        [alert] = receiver.alerts
        assert "*alert.test*" in alert["text"]
        assert "webhook-signature" not in receiver.posts[0]
        signed = await post("/alerts", format="signed")
        assert "Copy the secret now" in signed.text  # nobody was shown one before
        assert "Copy the secret now" not in (await post("/alerts", format="signed")).text
        assert "nobody is notified" in (await post("/alerts/remove")).text
