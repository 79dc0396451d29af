"""A revoked key ends in every process, also in one that isn't told of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest

from catalog import Catalog
from catalog.encryption.cipher import CredentialCipher
from destinations import registry
from emitonce.ids import Hashes
from starter.console.session import COOKIE
from tests.api.caller import BASE, Machine
from tests.api.line import DatabaseLine
from tests.console.site import Site, open_site, sign_in
from tests.integration.stack import CREDENTIAL_KEY, SECRET, Stack, eventually

pytestmark = pytest.mark.slow

LISTENER = b"emitonce listener"


@asynccontextmanager
async def another_process(stack: Stack, line: DatabaseLine) -> AsyncIterator[Site]:
    """With a catalog, and so caches and a feed of changes, of its own."""
    cipher = CredentialCipher({"k1": CREDENTIAL_KEY})
    catalog = await Catalog.open(line.url, cipher, Hashes(SECRET), registry)
    try:
        async with open_site(replace(stack, catalog=catalog)) as site:
            yield site
    finally:
        await catalog.close()


async def test_a_revoked_key_ends_in_two_processes_that_hear_of_no_change(stack: Stack) -> None:
    made = await stack.catalog.machine_keys.create(
        stack.organization, name="revoked", created_by="test"
    )
    secret = made.secret_key.get_secret_value()
    machine = Machine(stack.organization, made.key.access_key, secret)
    async with (
        DatabaseLine(stack.database) as line,
        another_process(stack, line) as one,
        another_process(stack, line) as other,
        httpx.AsyncClient(timeout=30) as http,
    ):

        async def used(site: Site) -> tuple[int, int]:
            """How the key is answered when it reads and emits."""
            event = {"event": "page.viewed", "payload": {}, "workspace": stack.workspace}
            at = f"{site.url}{BASE}"
            read = await http.get(f"{at}/workspaces", headers=machine.headers())
            emitted = await http.post(f"{at}/events", json=event, headers=machine.headers())
            return read.status_code, emitted.status_code

        async with httpx.AsyncClient(base_url=one.url) as browser:
            await sign_in(browser, made.key.access_key, secret)
            signed_in = {"Cookie": f"{COOKIE}={browser.cookies[COOKIE]}"}
        for site in (one, other):
            page = await http.get(f"{site.url}/workspaces", headers=signed_in)
            assert page.status_code == 200
            assert await used(site) == (200, 201)

        line.fall_silent(LISTENER)
        await stack.catalog.machine_keys.revoke(stack.organization, made.key.id)
        for site in (one, other):  # sessions are not cached
            page = await http.get(f"{site.url}/workspaces", headers=signed_in)
            assert page.status_code == 303

        async def refused() -> bool:
            answers = {*await used(one), *await used(other)}
            return answers <= {401, 429}  # 429 after many

        await eventually(refused)
        line.speak()
