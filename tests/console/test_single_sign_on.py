"""People sign in at an OpenID Connect provider, and may do what their role says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import httpx
import jwt
import pytest
import pytest_asyncio

from starter.console.session import COOKIE
from starter.console.single_sign_on import CALLBACK
from tests.conftest import on_server, psql
from tests.console.identity import (
    CLIENT_SECRET,
    CrookedProvider,
    acts,
    come_back,
    free_port,
    open_crooked_provider,
    open_signing_site,
)
from tests.console.site import Site, sign_in, token_in
from tests.integration.stack import Stack

Browsing = httpx.AsyncClient


@pytest_asyncio.fixture(scope="module")
async def module_crooked() -> AsyncIterator[CrookedProvider]:
    async with open_crooked_provider() as provider:
        yield provider


@pytest.fixture
def crooked(module_crooked: CrookedProvider) -> CrookedProvider:
    module_crooked.claims, module_crooked.signed = {}, None
    return module_crooked


@pytest_asyncio.fixture(scope="module")
async def module_led(whole_site: Site, module_crooked: CrookedProvider) -> AsyncIterator[Site]:
    async with open_signing_site(whole_site.stack, module_crooked.issuer, free_port()) as site:
        yield site


@pytest.fixture
def led(module_led: Site, stack: Stack) -> Site:
    """A console whose people sign in at the crooked provider."""
    return replace(module_led, stack=stack)


@pytest_asyncio.fixture
async def http(led: Site) -> AsyncIterator[Browsing]:
    async with httpx.AsyncClient(base_url=led.url) as http:
        yield http


@pytest.mark.parametrize(("ago", "stale"), [(None, True), (700, True), (5, False)])
async def test_who_signed_in_at_the_provider_long_ago_is_asked_again(
    led: Site, http: Browsing, crooked: CrookedProvider, ago: int | None, stale: bool
) -> None:
    """A new session doesn't make an old sign-in a new one, and a provider has to ask."""
    crooked.claims = {"auth_time": None if ago is None else int(time.time()) - ago}
    await come_back(http, crooked)
    assert ("Sign in again" in (await http.get(led.at("/keys"))).text) is stale
    answer = await come_back(http, crooked, again=True)
    assert answer.status_code == (403 if stale else 200)
    assert ("did not ask you to sign in again" in answer.text) is stale


async def test_a_code_is_good_for_one_sign_in(real: list[Site]) -> None:
    """Also in the browser that it was made for, and with all that this browser has kept."""
    async with httpx.AsyncClient(base_url=real[0].url, follow_redirects=True) as http:
        page = await http.get("/sign-in/provider")
        kept = dict(http.cookies.items())
        fields = {"prompt": "login", "login": "ada", "password": "x"}
        answer = await http.post(page.url, data=fields, follow_redirects=False)
        while CALLBACK not in (where := answer.headers["location"]):
            answer = await http.get(where, follow_redirects=False)
        assert (await http.get(where)).status_code == 200
        assert (await http.get("/workspaces")).url.path == "/workspaces"
        refused = await http.get(where)
        assert "started in another browser, or too long ago" in refused.text
    async with httpx.AsyncClient(base_url=real[0].url, cookies=kept) as again:
        refused = await again.get(where)
        assert refused.status_code == 401
        assert "it was used before" in refused.text
        assert COOKIE not in again.cookies


async def test_the_crooked_provider_signs_in_when_it_tells_the_truth(
    http: Browsing, crooked: CrookedProvider
) -> None:
    answer = await come_back(http, crooked)
    assert answer.status_code == 200
    assert (await http.get("/workspaces")).status_code == 200


def other_key(claims: dict[str, Any]) -> str:
    return CrookedProvider(0, claims, nonce=claims["nonce"]).token()


NOW = int(time.time())


@pytest.mark.parametrize(
    ("claims", "signed", "said"),
    [
        ({"aud": "another"}, None, "not valid here"),
        ({"aud": ["console", "another"]}, None, "for another application"),
        ({"azp": "another"}, None, "for another application"),
        ({"iss": "https://another.example"}, None, "not valid here"),
        ({"iat": NOW - 700, "exp": NOW - 400}, None, "from another time"),
        ({"nonce": "another"}, None, "answered another sign-in"),
        ({"nonce": None}, None, "answered another sign-in"),
        ({"sub": None}, None, "not valid here"),
        ({}, lambda claims: jwt.encode(claims, None, algorithm="none"), "not valid here"),
        (
            {},
            lambda claims: jwt.encode(claims, CLIENT_SECRET, "HS256", headers={"kid": "k"}),
            "not valid here",
        ),
        ({}, other_key, "not valid here"),
        ({}, lambda claims: "no token", "not valid here"),
    ],
)
async def test_an_id_token_that_is_not_right_signs_nobody_in(
    http: Browsing,
    crooked: CrookedProvider,
    claims: dict[str, Any],
    signed: Callable[[dict[str, Any]], str] | None,
    said: str,
) -> None:
    crooked.claims, crooked.signed = claims, signed
    answer = await come_back(http, crooked)
    assert answer.status_code == 401
    assert said in answer.text
    assert COOKIE not in http.cookies
    assert (await http.get("/workspaces")).status_code == 303


@pytest.mark.parametrize(("minutes", "status"), [(-5, 401), (5, 401), (-0.5, 200), (0.5, 200)])
async def test_a_clock_that_is_minutes_off_is_named_as_the_reason(
    http: Browsing, crooked: CrookedProvider, minutes: float, status: int
) -> None:
    """A token is good for four minutes here, so a clock that is late is noticed, too."""
    now = time.time() + 60 * minutes
    crooked.claims = {"iat": int(now), "exp": int(now) + 230}
    answer = await come_back(http, crooked)
    assert answer.status_code == status
    assert ("its clock or this server's is wrong" in answer.text.replace("&#39;", "'")) is (
        status == 401
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "another"},
        {"iss": "https://another.example"},
        {"error": "access_denied"},
        {"code": ""},
    ],
)
async def test_what_comes_back_must_answer_what_was_asked(
    http: Browsing, crooked: CrookedProvider, changes: dict[str, str]
) -> None:
    answer = await come_back(http, crooked, **changes)
    assert answer.status_code == 401
    assert COOKIE not in http.cookies


async def test_a_sign_in_of_one_browser_is_worth_nothing_in_another(
    led: Site, http: Browsing, crooked: CrookedProvider
) -> None:
    left = await http.get("/sign-in/provider")
    asked = parse_qs(left.headers["location"].partition("?")[2])
    crooked.nonce = asked["nonce"][0]
    assert asked["code_challenge_method"] == ["S256"]
    async with httpx.AsyncClient(base_url=led.url) as other:
        await other.get("/sign-in/provider")
        answer = await other.get(CALLBACK, params={"code": "c", "state": asked["state"][0]})
        assert answer.status_code == 401
        assert COOKIE not in other.cookies


@pytest.mark.parametrize(
    ("claims", "may"),
    [
        ({"roles": "viewer"}, {"read"}),
        ({"roles": ["viewer", "payload", "unknown"]}, {"read", "payload"}),
        ({"roles": ["viewer", "operator"]}, {"read", "operate"}),
        ({"roles": ["payload"]}, None),
        ({"roles": ["Admin"]}, None),
        ({"roles": {"admin": True}}, None),
        ({"roles": None}, None),
    ],
)
async def test_a_claim_says_what_somebody_may_do(
    led: Site, http: Browsing, crooked: CrookedProvider, claims: dict[str, Any], may: set[str]
) -> None:
    crooked.claims = claims | {"sub": f"someone with {claims}"}
    answer = await come_back(http, crooked)
    assert answer.status_code == (403 if may is None else 200)
    sessions = await led.stack.catalog.console_sessions.list(led.stack.organization)
    assert ((await http.get("/workspaces")).status_code == 200) is (may is not None)
    if may is not None:
        assert sessions[0].scopes == may


async def test_a_table_says_what_the_claim_stands_for(
    stack: Stack, crooked: CrookedProvider
) -> None:
    roles = {"support": "operator payload", "ada@example.com": "admin"}
    for claim, claims, status in (
        ("groups", {"groups": ["sales", "support"]}, 200),
        ("groups", {"groups": ["admin"]}, 403),
        ("email", {"email": "ada@example.com", "email_verified": True}, 200),
        ("email", {"email": "ada@example.com"}, 403),
        ("email", {"email": "ada@example.com", "email_verified": "true"}, 403),
    ):
        crooked.claims = claims
        site = open_signing_site(stack, crooked.issuer, free_port(), roles=roles, roles_claim=claim)
        async with site as led, httpx.AsyncClient(base_url=led.url) as http:
            assert (await come_back(http, crooked)).status_code == status, claims


async def test_nothing_of_a_person_is_stored(
    led: Site, http: Browsing, crooked: CrookedProvider, capfd: pytest.CaptureFixture[str]
) -> None:
    crooked.claims = {"sub": "ada-1815", "name": "Ada Lovelace", "email": "ada@example.com"}
    await come_back(http, crooked)
    assert "Ada Lovelace" in (await http.get("/workspaces")).text
    tables = ("console_sessions", "audit")
    async with psql(led.stack.database) as conn:
        rows = [row for table in tables for row in await conn.fetch(f"TABLE {table}")]
    for text in ("ada-1815", "lovelace", "ada@"):
        assert text not in str(rows).lower()
        assert text not in str(capfd.readouterr()).lower()


async def test_a_new_key_of_the_provider_is_asked_for(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_crooked_provider() as crooked:
        site = open_signing_site(stack, crooked.issuer, free_port())
        async with site as led, httpx.AsyncClient(base_url=led.url) as http:
            assert (await come_back(http, crooked)).status_code == 200
            crooked.renew_key()
            assert (await come_back(http, crooked)).status_code == 401  # asked a moment ago
            monkeypatch.setattr("starter.console.single_sign_on.KEYS_SECONDS", 0.0)
            assert (await come_back(http, crooked)).status_code == 200


async def test_a_provider_that_does_not_answer_is_said_and_keys_still_sign_in(
    stack: Stack,
) -> None:
    async with open_crooked_provider() as crooked:
        crooked.silent = True
        site = open_signing_site(stack, crooked.issuer, free_port())
        async with site as led, httpx.AsyncClient(base_url=led.url) as http:
            answer = await http.get("/sign-in/provider")
            assert answer.status_code == 503
            assert "can&#39;t be reached now" in answer.text
            assert (await sign_in(http, led.access_key, led.secret_key)).status_code == 303


async def test_a_provider_that_calls_itself_otherwise_is_not_asked(
    stack: Stack, crooked: CrookedProvider
) -> None:
    site = open_signing_site(stack, f"http://127.0.0.1:{crooked.port}", free_port())
    async with site as led, httpx.AsyncClient(base_url=led.url) as http:
        assert (await http.get("/sign-in/provider")).status_code == 503


async def test_of_two_admins_who_remove_each_other_one_is_removed(
    led: Site, crooked: CrookedProvider
) -> None:
    async with (
        httpx.AsyncClient(base_url=led.url) as ada,
        httpx.AsyncClient(base_url=led.url) as abel,
    ):
        tokens, holders = {}, {}
        for http, subject in ((ada, "ada"), (abel, "abel")):
            crooked.claims = {"sub": f"{subject} of two", "name": subject}
            await come_back(http, crooked)
            tokens[http] = token_in(page := await http.get("/sessions"))
            holders[http] = page.text.split("In the audit you are <code>")[1][:36]
        answers = await asyncio.gather(
            ada.post(f"/sessions/{holders[abel]}/end", data={"csrf": tokens[ada]}),
            abel.post(f"/sessions/{holders[ada]}/end", data={"csrf": tokens[abel]}),
        )
        assert sorted(answer.status_code for answer in answers) == [303, 401]
        left = [(await http.get("/sessions")).status_code for http in (ada, abel)]
        assert sorted(left) == [200, 303]
    ended = await acts(led.stack, "end_sessions")
    outcomes = [str(one.outcome) for one in ended if one.act.ids["holder_id"] in holders.values()]
    assert sorted(outcomes) == ["401", "done"]


async def test_of_two_keys_that_revoke_each_other_one_is_revoked(site: Site) -> None:
    keys = site.stack.catalog.machine_keys
    made = [
        await keys.create(site.stack.organization, name=name, created_by="test")
        for name in ("one of two", "other of two")
    ]
    browsers = [httpx.AsyncClient(base_url=site.url) for _ in made]
    path = f"/w/{site.stack.workspace}/keys"
    tokens = []
    for http, key in zip(browsers, made, strict=True):
        await sign_in(http, key.key.access_key, key.secret_key.get_secret_value())
        tokens.append(token_in(await http.get(path)))
    answers = await asyncio.gather(
        *(
            http.post(f"{path}/machine/{other.key.id}/revoke", data={"csrf": token})
            for http, other, token in zip(browsers, reversed(made), tokens, strict=True)
        )
    )
    for http in browsers:
        await http.aclose()
    assert sorted(answer.status_code for answer in answers) == [303, 401]
    revoked = [
        key.revoked_at is not None
        for key in await keys.list(site.stack.organization)
        if key.id in {one.key.id for one in made}
    ]
    assert sorted(revoked) == [False, True]


async def test_who_looks_sees_their_own_session_and_ends_nobody_s(
    led: Site, crooked: CrookedProvider, http: Browsing
) -> None:
    async with httpx.AsyncClient(base_url=led.url) as ada:
        await come_back(ada, crooked)
        crooked.claims = {"sub": "vera", "roles": "viewer"}
        await come_back(http, crooked)
        page = await http.get("/sessions")
        assert page.text.count("<tr>") == 2
        theirs = (await ada.get("/sessions")).text.split("In the audit you are <code>")[1][:36]
        refused = await http.post(f"/sessions/{theirs}/end", data={"csrf": token_in(page)})
        assert refused.status_code == 403
        assert (await ada.get("/sessions")).status_code == 200


async def test_a_sign_in_that_can_not_be_recorded_does_not_happen(
    led: Site, http: Browsing, crooked: CrookedProvider
) -> None:
    full = "ALTER TABLE audit ADD CONSTRAINT full_up CHECK (false) NOT VALID"
    await on_server(led.stack.database, full)
    try:
        answer = await come_back(http, crooked)
        assert answer.status_code == 503
        assert "so it was not done" in answer.text
        assert COOKIE not in http.cookies
    finally:
        await on_server(led.stack.database, "ALTER TABLE audit DROP CONSTRAINT full_up")
