"""In the console, too, a key does what its scopes allow; what it can't do is shown and says why."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import httpx
import pytest

from catalog.scopes import ALL, MANAGE, OPERATE, PAYLOAD, READ
from emitonce.ids import person_hash
from starter.api.routing import scope_of
from starter.console.console import MODULES
from starter.console.route import ConsoleRoute
from tests.console.populated import populate
from tests.console.site import Site, first_choices, sign_in, token_in
from tests.integration.stack import SECRET, eventually


@asynccontextmanager
async def signed_in(site: Site, scopes: Iterable[str]) -> AsyncIterator[httpx.AsyncClient]:
    made = await site.stack.catalog.machine_keys.create(
        site.stack.organization, name="visitor", created_by="test", scopes=scopes
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
    assert first_choices(page.text) == ["New rule"]
    assert answer.status_code == (200 if paused else 403)
    assert not paused or first_choices(answer.text) == ["Resume"]
    assert paused or "lacks the scope operate" in answer.text
    found = await site.stack.catalog.connections.get(site.stack.organization, connection.id)
    assert (found.status == "paused") is paused


class Offered(HTMLParser):
    """Collects what a page offers: method, address, and the scope that it says you lack."""

    def __init__(self, page: httpx.Response) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str | None]] = []
        self._page = page
        self._form: dict[str, str | None] = {}
        self.feed(page.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        lacking = (given.get("title") or "").partition("lacks the scope ")[2] or None
        if tag == "form":
            self._form = given
        elif tag == "button" and ("disabled" not in given or lacking):
            to = given.get("hx-post") or self._form.get("action")
            method = "POST" if given.get("hx-post") else self._form.get("method") or "get"
            self._add(method.upper(), to, lacking)
        elif tag == "a" and (href := given.get("href") or "").startswith("/"):
            self._add("GET", href, None)

    def _add(self, method: str, to: str | None, lacking: str | None) -> None:
        self.found.append((method, self._page.url.join(to or "").path, lacking))


ROUTES = [
    route for module in MODULES for route in module.router.routes if isinstance(route, ConsoleRoute)
]


def scope_for(method: str, path: str) -> str | None:
    """Return the scope that the console's route needs; None if it needs no sign-in."""
    fitting = (one for one in ROUTES if method in one.methods and one.path_regex.match(path))
    return next(map(scope_of, fitting), None)


@pytest.mark.timeout(120)
async def test_pages_offer_what_the_visitor_may_do_and_name_the_scope_that_the_rest_needs(
    site: Site,
) -> None:
    pages = (await populate(site.stack, rounds=1)).pages()
    asked = 0
    for scopes in ([READ], [READ, OPERATE], [READ, MANAGE]):
        async with signed_in(site, scopes) as http:
            for page in [await http.get(site.at(path)) for path in pages.values()]:
                for method, path, lacking in Offered(page).found:
                    needed, asked = scope_for(method, path), asked + 1
                    if lacking is None:
                        assert needed in {None, *scopes}, (page.url, scopes, method, path)
                    else:
                        assert lacking == needed, (page.url, scopes, method, path)
    assert asked > 300


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
        for key in await site.stack.catalog.machine_keys.list(site.stack.organization)
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
    await keys.create(site.stack.organization, name="short", created_by="test", expires_at=soon)
    async with signed_in(site, ALL) as http:

        async def expired() -> bool:
            page = (await http.get(site.at("/keys"))).text
            [row] = [row for row in page.split("<tr>") if "<td>short" in row]
            return "Expired" in row and "In use" not in row

        await eventually(expired)
