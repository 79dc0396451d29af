"""Publishable keys in the console: narrow unless one says otherwise, and warned of when not."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx
import pytest_asyncio

from catalog.publishable_keys import PublishableKey
from tests.console.site import TOKEN, Site, sign_in

Browsing = httpx.AsyncClient


@pytest_asyncio.fixture
async def http(site: Site) -> AsyncIterator[Browsing]:
    async with httpx.AsyncClient(base_url=site.url, follow_redirects=True) as http:
        await sign_in(http, site.access_key, site.secret_key)
        yield http


async def send(http: Browsing, path: str, **fields: str) -> httpx.Response:
    page = await http.get(re.sub(r"/keys/.*", "/keys", path))
    token = TOKEN.search(page.text)
    assert token is not None
    return await http.post(path, data={"csrf": token[1], **fields})


async def keys(site: Site) -> list[PublishableKey]:
    found = await site.stack.catalog.publishable_keys.list(site.stack.organization)
    return [key for key in found if key.workspace == site.stack.workspace]


async def test_first_key_is_warned_of_until_narrowed_or_kept_wide(
    site: Site, http: Browsing
) -> None:
    [first] = await keys(site)
    path = f"/w/{site.stack.workspace}/keys"
    assert "Unrestricted" in (await http.get(path)).text
    rights = f"{path}/publishable/{first.id}/rights"
    page = await send(http, rights, identify="any", kept_wide="on")
    assert "Unrestricted" not in page.text
    page = await send(http, rights, identify="any")
    assert "Unrestricted" in page.text
    page = await send(http, rights, identify="any", events="page viewed\r\n cart.filled \r\n")
    assert "Unrestricted" not in page.text
    [first] = await keys(site)
    assert first.rights.events == ("page viewed", "cart.filled")


async def test_new_key_is_for_visitors_alone_unless_one_says_otherwise(
    site: Site, http: Browsing
) -> None:
    path = f"/w/{site.stack.workspace}/keys"
    page = (await http.get(path)).text
    offered = re.search(r'New publishable key|<option value="anonymous" selected>', page)
    assert offered is not None
    assert offered[0].startswith("<option")
    fields = {"identify": "anonymous", "origins": "https://Shop.example.com"}
    await send(http, f"{path}/publishable", name="Shop", **fields)
    made = next(key for key in await keys(site) if key.name == "Shop")
    assert made.rights.identify == "anonymous"
    assert made.rights.origins == ("https://shop.example.com",)


async def test_what_cannot_be_an_origin_is_said(site: Site, http: Browsing) -> None:
    path = f"/w/{site.stack.workspace}/keys/publishable"
    page = await send(http, path, name="Shop", origins="https://*.example.com")
    assert page.status_code == 400
    assert "Origins: must be like https://www.example.com" in page.text
    assert len(await keys(site)) == 1
