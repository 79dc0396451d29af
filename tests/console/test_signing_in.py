"""Only who holds a machine key gets in, and no other site sends a form in their name."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.cookies import SimpleCookie

import httpx
import pytest

from starter.console import development_key
from starter.console.session import COOKIE
from tests.console.site import Site, open_site, set_back, sign_in, token_in
from tests.integration.stack import Stack


@asynccontextmanager
async def visiting(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=site.url, timeout=30) as http:
        yield http


async def test_a_machine_key_gets_in_and_out_again(site: Site):
    async with visiting(site) as http:
        answer = await sign_in(http, site.access_key, site.secret_key)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        page = await http.get(f"/w/{site.stack.workspace}/rules")
        assert page.status_code == 200
        await http.post("/sign-out", data={"csrf": token_in(page)})
        assert (await http.get("/workspaces")).status_code == 303


@pytest.mark.parametrize(
    ("access_key", "secret_key"),
    [
        ("mk_" + "x" * 24, "s" * 43),
        (None, "s" * 43),
        ("\0", "x"),
        ("mk_' OR 1=1 --", "x"),
        ("", ""),
    ],
)
async def test_nobody_else_gets_in(site: Site, access_key: str | None, secret_key: str):
    async with visiting(site) as http:
        answer = await sign_in(http, access_key or site.access_key, secret_key)
        assert answer.status_code == 401
        assert COOKIE not in http.cookies
        assert "Wrong access key or secret key" in answer.text
        assert secret_key == "x" or not secret_key or secret_key not in answer.text


async def test_failed_sign_ins_from_many_addresses_fill_the_audit_slowly(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
):
    async def failed() -> int:
        page = await stack.catalog.audit.list(stack.organization, limit=100)
        return sum(one.act.name == "sign_in" and one.outcome == "401" for one in page.records)

    monkeypatch.setattr("starter.console.console.RECORDED_FAILURES", 5)
    before = await failed()
    async with (
        open_site(stack, serving={"trusted_proxies": "127.0.0.1"}) as site,
        visiting(site) as http,
    ):
        for number in range(9):
            http.headers["X-Forwarded-For"] = f"192.0.2.{number}"
            answer = await sign_in(http, "mk_" + f"{number}" * 24, "s" * 43)
            assert answer.status_code == 401
        assert await failed() == before + 5
        answer = await sign_in(http, site.access_key, site.secret_key)
        assert answer.status_code == 303


@pytest.mark.parametrize(("origin", "status"), [(True, 303), (False, 403)])
async def test_a_sign_in_page_of_another_release_is_good_where_the_browser_says_where_it_is_from(
    site: Site, origin: bool, status: int
):
    async with visiting(site) as http:
        await http.get("/sign-in")
        fields = {"access_key": site.access_key, "secret_key": site.secret_key, "csrf": "theirs"}
        headers = {"Origin": site.url} if origin else {}
        answer = await http.post("/sign-in", data=fields, headers=headers)
        assert answer.status_code == status


async def test_the_cookie_is_for_this_site_s_pages_alone(site: Site):
    async with visiting(site) as http:
        answer = await sign_in(http, site.access_key, site.secret_key)
        cookie = SimpleCookie(answer.headers["set-cookie"])[COOKIE]
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "strict", "/")
        assert int(cookie["max-age"]) == 12 * 3600
        assert cookie["secure"] == ""
        behind_tls = await http.get("/sign-in", headers={"X-Forwarded-Proto": "https"})
        assert "; Secure" in behind_tls.headers["set-cookie"]


@pytest.mark.parametrize(
    "change",
    [
        lambda cookie: cookie[:-1] + ("A" if cookie[-1] != "A" else "B"),
        lambda cookie: "A" + cookie[1:],
        lambda cookie: cookie.split(".")[0] + ".",
        lambda cookie: "x" * 3_000,
        lambda cookie: "é.é",
    ],
)
async def test_a_changed_cookie_is_worth_nothing(site: Site, change):
    async with visiting(site) as http:
        await sign_in(http, site.access_key, site.secret_key)
        forged = change(http.cookies[COOKIE])
    async with visiting(site) as http:
        answer = await http.get(
            "/workspaces", headers={"Cookie": f"{COOKIE}={forged}".encode("latin-1")}
        )
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/sign-in")


@pytest.mark.parametrize(("column", "by"), [("started_at", "12 hours"), ("seen_at", "30 minutes")])
async def test_a_session_ends_by_itself(site: Site, stack: Stack, column: str, by: str):
    async with visiting(site) as http:
        await sign_in(http, site.access_key, site.secret_key)
        assert (await http.get("/workspaces")).status_code == 200
        await set_back(stack, column, by)
        answer = await http.get("/workspaces")
        assert answer.headers["location"] == "/sign-in?next=%2Fworkspaces&ended=1"
        page = await http.get(answer.headers["location"])
        assert "Your session has ended" in page.text


async def test_looking_at_a_page_keeps_a_session_and_its_polls_do_not(site: Site, stack: Stack):
    rows = f"/w/{site.stack.workspace}/events/rows"
    async with visiting(site) as http:
        await sign_in(http, site.access_key, site.secret_key)
        for headers, kept in (({"HX-Request": "true"}, False), ({}, True)):
            await set_back(stack, "seen_at", "20 minutes")
            assert (await http.get(rows, headers=headers)).status_code == 200
            await set_back(stack, "seen_at", "15 minutes")
            assert ((await http.get(rows)).status_code == 200) is kept
            if not kept:
                await sign_in(http, site.access_key, site.secret_key)


async def test_signed_out_is_signed_out_in_every_process(site: Site, stack: Stack):
    async with open_site(stack) as other, visiting(site) as http, visiting(other) as elsewhere:
        await sign_in(http, site.access_key, site.secret_key)
        cookie = http.cookies[COOKIE]
        elsewhere.cookies.set(COOKIE, cookie)
        page = await elsewhere.get("/workspaces")
        assert page.status_code == 200
        await http.post("/sign-out", data={"csrf": token_in(page)})
        for browser in (http, elsewhere):
            browser.cookies.set(COOKIE, cookie)
            assert (await browser.get("/workspaces")).status_code == 303


async def test_keys_are_changed_by_who_has_just_shown_a_secret(site: Site, stack: Stack):
    path = f"/w/{site.stack.workspace}/keys"
    async with visiting(site) as http:
        await sign_in(http, site.access_key, site.secret_key)
        await set_back(stack, "proved_at", "11 minutes")
        page = await http.get(path)
        assert 'name="secret_key"' in page.text
        new = {"csrf": token_in(page), "name": "proof", "scope.read": "on"}
        for typed, status in (({}, 403), ({"secret_key": "x" * 43}, 403)):
            assert (await http.post(f"{path}/machine", data=new | typed)).status_code == status
        assert "proof" not in (await http.get(path)).text
        made = await http.post(f"{path}/machine", data=new | {"secret_key": site.secret_key})
        assert "copy the secret now" in made.text
        assert 'name="secret_key"' not in made.text


async def test_a_key_that_signed_in_shows_when_it_was_last_used(stack: Stack):
    async with open_site(stack) as site, visiting(site) as http:
        await sign_in(http, site.access_key, site.secret_key)
        assert (await http.get("/workspaces")).status_code == 200
        await stack.catalog.api_key_lookup.uses.written()
        keys = await stack.catalog.machine_keys.list(stack.organization)
        [own] = [key for key in keys if key.access_key == site.access_key]
        assert own.last_used_at is not None


async def test_a_session_ends_with_its_key(stack: Stack):
    async with open_site(stack) as site, visiting(site) as http:
        await sign_in(http, site.access_key, site.secret_key)
        keys = await stack.catalog.machine_keys.list(stack.organization)
        own = next(key for key in keys if key.access_key == site.access_key)
        await stack.catalog.machine_keys.revoke(stack.organization, own.id)
        answer = await http.get("/workspaces")
        assert (answer.status_code, answer.headers["location"][:8]) == (303, "/sign-in")


@pytest.mark.parametrize(
    ("token", "headers"),
    [
        ("", {}),
        ("forged", {}),
        (None, {"Origin": "https://elsewhere.example"}),
        (None, {"Origin": "null"}),
        (None, {"Sec-Fetch-Site": "cross-site"}),
        (None, {"Sec-Fetch-Site": "same-site"}),
    ],
)
async def test_a_form_from_elsewhere_does_nothing(
    site: Site, stack: Stack, token: str | None, headers: dict[str, str]
):
    connection = await stack.connection()
    path = f"/w/{stack.workspace}/connections/{connection.id}"
    async with visiting(site) as http:
        await sign_in(http, site.access_key, site.secret_key)
        own = token_in(await http.get(path))
        answer = await http.post(
            f"{path}/pause", data={"csrf": own if token is None else token}, headers=headers
        )
        assert answer.status_code == 403
        assert "not sent from a page of this console" in answer.text
    found = await stack.catalog.connections.get(stack.organization, connection.id)
    assert found.active


async def test_a_token_is_its_session_s_alone(site: Site):
    async with visiting(site) as one, visiting(site) as other:
        await sign_in(one, site.access_key, site.secret_key)
        await sign_in(other, site.access_key, site.secret_key)
        token = token_in(await one.get("/workspaces"))
        answer = await other.post("/workspaces", data={"csrf": token, "name": "Not made"})
        assert answer.status_code == 403


@pytest.mark.parametrize("next_page", ["//evil.example", "https://evil.example", "/\\evil", "x"])
async def test_signing_in_leads_nowhere_else(site: Site, next_page: str):
    async with visiting(site) as http:
        token = token_in(await http.get("/sign-in", params={"next": next_page}))
        fields = {"access_key": site.access_key, "secret_key": site.secret_key, "csrf": token}
        answer = await http.post("/sign-in", data={**fields, "next": next_page})
        assert answer.headers["location"] == "/"


async def test_every_page_allows_no_inline_script_and_is_not_kept(site: Site):
    async with visiting(site) as http:
        await sign_in(http, site.access_key, site.secret_key)
        for path in ("/sign-in", "/workspaces", f"/w/{site.stack.workspace}/events", "/nowhere"):
            page = await http.get(path, headers={"Accept": "text/html"})
            policy = page.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "script-src 'self';" in policy
            assert "unsafe" not in policy
            assert page.headers["cache-control"] == "no-store"
            assert page.headers["x-frame-options"] == "DENY"
            assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=", page.text)


async def test_what_is_another_organization_s_is_not_there(site: Site, stack: Stack):
    other = await stack.catalog.organizations.create("Another")
    theirs = await stack.catalog.workspaces.create(other.id, name="Theirs")
    handle = await stack.emitter.emit("their.event", {"userId": "1"}, workspace=theirs.id)
    async with visiting(site) as http:
        await sign_in(http, site.access_key, site.secret_key)
        for path in (
            f"/w/{theirs.id}/events",
            f"/w/{theirs.id}/keys",
            f"/w/{site.stack.workspace}/events/{handle.id}",
        ):
            assert (await http.get(path)).status_code == 404, path


async def test_what_is_another_workspace_s_is_not_there(site: Site, stack: Stack):
    connection = await stack.connection("Here")
    rule = await stack.rule(connection)
    handle = await stack.emitter.emit("nothing.matches", {}, workspace=stack.workspace)
    other = await stack.catalog.workspaces.create(stack.organization, name="Elsewhere")
    async with visiting(site) as http:
        await sign_in(http, site.access_key, site.secret_key)
        for path in (f"/connections/{connection.id}", f"/rules/{rule.id}", f"/events/{handle.id}"):
            assert (await http.get(f"/w/{stack.workspace}{path}")).status_code == 200, path
            assert (await http.get(f"/w/{other.id}{path}")).status_code == 404, path


async def test_the_development_link_signs_in_and_is_none_elsewhere(
    stack: Stack, tmp_path, site: Site
):
    key = await development_key(stack.catalog, stack.organization, tmp_path)
    again = await development_key(stack.catalog, stack.organization, tmp_path)
    assert (again.access_key, again.secret_key) == (key.access_key, key.secret_key)
    assert again.link_token != key.link_token
    assert [path.stat().st_mode & 0o777 for path in tmp_path.iterdir()] == [0o600]
    async with open_site(stack, development=key) as own, visiting(own) as http:
        assert (await http.get("/sign-in/development/" + again.link_token)).status_code == 404
        assert (await http.get(key.sign_in_path)).headers["location"] == "/"
        assert (await http.get("/workspaces")).status_code == 200
        assert (await http.get(key.sign_in_path)).headers["location"] == "/"
        assert (await http.get("/workspaces")).status_code == 200
        async with visiting(own) as other:
            await other.get(key.sign_in_path)
            assert (await other.get("/workspaces")).status_code == 303
    async with visiting(site) as http:
        assert (await http.get(key.sign_in_path)).status_code == 404


async def test_programs_get_what_they_always_got(site: Site):
    async with visiting(site) as http:
        missing = await http.get("/api/v1/nowhere", headers={"Accept": "text/html"})
        assert missing.headers["content-type"] == "application/json"
        assert (await http.get("/nowhere")).headers["content-type"] == "application/json"
        page = await http.get("/nowhere", headers={"Accept": "text/html,*/*"})
        assert page.headers["content-type"].startswith("text/html")
        assert page.status_code == 404
        assert "/w/{workspace_id}" not in (await http.get("/openapi.json")).text
