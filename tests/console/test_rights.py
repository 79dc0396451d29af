"""In the console, too, a key does what its scopes allow; what it can't do is shown and says why."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from catalog.scopes import ALL, MANAGE, OPERATE, PAYLOAD, READ
from emitonce.ids import person_hash
from tests.console.site import Site, sign_in, token_in
from tests.integration.stack import SECRET, eventually


@asynccontextmanager
async def signed_in(site: Site, scopes: Iterable[str]) -> AsyncIterator[httpx.AsyncClient]:
    made = await site.stack.catalog.machine_keys.create(
        site.stack.organisation, name="visitor", created_by="test", scopes=scopes
    )
    async with httpx.AsyncClient(base_url=site.url, follow_redirects=True) as http:
        await sign_in(http, made.key.access_key, made.secret_key.get_secret_value())
        yield http


@pytest.mark.parametrize(
    ("scopes", "paused"), [([READ], False), ([READ, MANAGE], False), ([READ, OPERATE], True)]
)
async def test_pausing_needs_its_scope(site: Site, scopes: list[str], paused: bool) -> None:
    connection = await site.stack.connection()
    path = site.at(f"/connections/{connection.id}")
    async with signed_in(site, scopes) as http:
        page = await http.get(path)
        [button] = re.findall(r"<button([^>]*)>Pause", page.text)
        assert ("lacks the scope operate" in button) is not paused
        answer = await http.post(f"{path}/pause", data={"csrf": token_in(page)})
    assert answer.status_code == (200 if paused else 403)
    assert paused or "lacks the scope operate" in answer.text
    found = await site.stack.catalog.connections.get(site.stack.organisation, connection.id)
    assert (found.status == "paused") is paused


@pytest.mark.parametrize("scopes", [[READ], [READ, PAYLOAD]])
async def test_payload_and_requests_are_shown_to_those_who_may_see_them(
    site: Site, scopes: list[str]
) -> None:
    stack = site.stack
    await stack.rule(await stack.connection())
    handle = await stack.emit(payload={"userId": "u", "email": "ada@example.com"})
    await handle.result()
    async with signed_in(site, scopes) as http:
        page = (await http.get(site.at(f"/events/{handle.id}"))).text
    assert "Attempt 1" in page
    assert ("ada@example.com" in page) is (PAYLOAD in scopes)


@pytest.mark.parametrize("scopes", [[READ], [READ, PAYLOAD]])
async def test_people_are_searched_by_those_who_may_see_them(site: Site, scopes: list[str]) -> None:
    handle = await site.stack.emit(payload={"userId": "u"})
    await handle.result()
    person = person_hash(SECRET, site.stack.workspace, "u")
    async with signed_in(site, scopes) as http:
        events = await http.get(site.at("/events"))
        assert ('name="person"' in events.text) is (PAYLOAD in scopes)
        fields = {"csrf": token_in(events), "person": "u"}
        for answer in (
            await http.get(site.at(f"/people/{person}")),
            await http.post(site.at("/people"), data=fields),
        ):
            assert answer.status_code == (200 if PAYLOAD in scopes else 403)


async def test_a_key_makes_none_that_may_do_more(site: Site) -> None:
    path = site.at("/keys")
    async with signed_in(site, [READ, MANAGE]) as http:
        token = token_in(await http.get(path))
        everything = {f"scope.{scope}": "on" for scope in ALL}
        fields = {"csrf": token, "name": "more", "as_token": "on", **everything}
        page = await http.post(f"{path}/machine", data=fields)
    assert re.search(r"emitonce_\w{12}_\w{43}", page.text)
    [made] = [
        key
        for key in await site.stack.catalog.machine_keys.list(site.stack.organisation)
        if key.name == "more"
    ]
    assert made.scopes == {READ, MANAGE}


async def test_the_audit_tells_who_signed_in_and_what_they_did(site: Site) -> None:
    connection = await site.stack.connection()
    pause = site.at(f"/connections/{connection.id}")
    async with signed_in(site, [READ, OPERATE]) as http:
        await http.post(f"{pause}/pause", data={"csrf": token_in(await http.get(pause))})
        refused = await http.get("/audit")
    assert refused.status_code == 403
    async with httpx.AsyncClient(base_url=site.url, follow_redirects=True) as http:
        await sign_in(http, site.access_key, "x" * 43)
    async with signed_in(site, ALL) as http:
        page = (await http.get("/audit")).text
    rows = [re.sub(r"<[^>]*>|\s+", " ", row) for row in page.split("<tr>")[2:]]
    assert "sign in" in rows[0]
    assert "Done" in rows[0]
    assert "sign in" in rows[1]
    assert "Refused 401" in rows[1]
    assert "pause connection" in rows[2]
    assert "visitor" in rows[2]
    assert connection.id in rows[2]


async def test_a_key_that_has_expired_is_not_called_in_use(site: Site) -> None:
    keys = site.stack.catalog.machine_keys
    soon = datetime.now(UTC) + timedelta(seconds=0.5)
    await keys.create(site.stack.organisation, name="short", created_by="test", expires_at=soon)
    async with signed_in(site, ALL) as http:

        async def expired() -> bool:
            page = (await http.get(site.at("/keys"))).text
            [row] = [row for row in page.split("<tr>") if "<td>short" in row]
            return "Expired" in row and "In use" not in row

        await eventually(expired)
