"""Embedded pages, as any program may ask for them: who gets in, and how far."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from catalog.embed_sessions import DASHBOARD, RESOURCE, WORKSPACE, NewEmbedSession
from starter.api.session_tokens import SessionTokens
from tests.console.site import Site, open_site, sign_in
from tests.console.test_embed import OWN
from tests.integration.stack import Stack

ORIGIN = "https://app.example.com"
FIELDS: dict[str, dict[str, Any]] = {
    WORKSPACE: {},
    RESOURCE: {"type": RESOURCE, "resource": "project", "resource_id": "prj_7"},
    DASHBOARD: {"type": DASHBOARD},
}


async def created(site: Site, **fields: Any) -> tuple[str, str]:
    """A session's access token and launch token."""
    stack, given = site.stack, {"role": "owner", "origins": (ORIGIN,)} | fields
    known = await stack.catalog.api_key_lookup.machine(site.access_key)
    session, launch = await stack.catalog.embed_sessions.create(
        stack.organization, known.key, NewEmbedSession(workspace=stack.workspace, **given)
    )
    tokens = SessionTokens(stack.catalog.embed_sessions, stack.catalog.cipher.ring)
    return tokens.sign(session), launch


@asynccontextmanager
async def embedded(site: Site, **fields: Any) -> AsyncIterator[httpx.AsyncClient]:
    token, _ = await created(site, **fields)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=site.url, headers=headers, follow_redirects=True) as http:
        yield http


async def launched(site: Site, launch: str, page: str = "dashboard", **headers: str) -> Any:
    async with httpx.AsyncClient(base_url=site.url) as http:
        return await http.get(f"/embed/{page}", params={"launch": launch}, headers=headers)


async def test_a_launch_token_opens_an_empty_page_once(site: Site) -> None:
    await site.stack.connection("A name of theirs")
    _, launch = await created(site)
    first = await launched(site, launch, referer=f"{ORIGIN}/")
    assert first.status_code == 200
    assert "A name of theirs" not in first.text
    assert f'data-origins="{ORIGIN}"' in first.text
    assert f"frame-ancestors {ORIGIN}" in first.headers["content-security-policy"]
    assert "x-frame-options" not in first.headers
    assert "set-cookie" not in first.headers
    again = await launched(site, launch)
    assert again.status_code == 401
    assert "Invalid or expired embed launch token" in again.text
    assert "frame-ancestors 'none'" in again.headers["content-security-policy"]


async def test_of_many_who_launch_at_once_one_gets_in(site: Site) -> None:
    _, launch = await created(site)
    answers = await asyncio.gather(*(launched(site, launch) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7


async def test_a_session_that_was_revoked_is_not_launched(site: Site) -> None:
    _, launch = await created(site)
    sessions, owned = site.stack.catalog.embed_sessions, {"workspace": site.stack.workspace}
    [session] = (await sessions.list(site.stack.organization, **owned)).records
    await sessions.revoke(site.stack.organization, session.id)
    assert (await launched(site, launch)).status_code == 401


async def test_a_launch_token_that_is_late_or_made_up_opens_nothing(site: Site) -> None:
    _, launch = await created(site)
    await site.stack.catalog.pool.execute(
        "UPDATE embed_sessions SET launch_expires_at = clock_timestamp()"
    )
    for token in (launch, "x" * 43, "", "ü"):
        assert (await launched(site, token)).status_code == 401


@pytest.mark.parametrize("referer", ["https://attacker.example/", "https://[attacker/"])
async def test_a_launch_from_another_origin_is_refused_and_used_up(
    site: Site, referer: str
) -> None:
    _, launch = await created(site)
    refused = await launched(site, launch, referer=referer)
    assert refused.status_code == 403
    assert (await launched(site, launch, referer=f"{ORIGIN}/")).status_code == 401


@pytest.mark.parametrize(("origins", "status"), [((), 403), (("https://product.example",), 200)])
async def test_a_session_without_origins_needs_those_of_the_setting(
    stack: Stack, origins: tuple[str, ...], status: int
) -> None:
    async with open_site(stack, embed_origins=origins) as site:
        _, launch = await created(site, origins=None)
        answer = await launched(site, launch)
    assert answer.status_code == status
    policy = answer.headers["content-security-policy"]
    assert f"frame-ancestors {' '.join(origins) or chr(39) + 'none' + chr(39)}" in policy


@pytest.mark.parametrize(
    ("type", "page", "status"),
    [
        (WORKSPACE, "connections", 200),
        (RESOURCE, "events", 200),
        (RESOURCE, "connections", 404),
        (DASHBOARD, "dashboard", 200),
        (DASHBOARD, "events", 404),
        (WORKSPACE, "members", 404),
    ],
)
async def test_a_session_is_launched_on_pages_of_its_type(
    site: Site, type: str, page: str, status: int
) -> None:
    _, launch = await created(site, **FIELDS[type])
    assert (await launched(site, launch, page)).status_code == status


async def test_a_keys_token_and_a_cookie_beside_a_wrong_token_open_no_page(site: Site) -> None:
    path = site.at("/events")
    keys = await site.stack.catalog.machine_keys.create(
        site.stack.organization, name="t", created_by="t", as_token=True
    )
    async with httpx.AsyncClient(base_url=site.url) as http:
        await sign_in(http, site.access_key, site.secret_key)
        assert (await http.get(path)).status_code == 200
        for token in (keys.secret_key.get_secret_value(), "x", "a.b.c"):
            answer = await http.get(path, headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 401
            assert "<nav" not in answer.text


REACHED = {
    "dashboard": {WORKSPACE, RESOURCE, DASHBOARD},
    "events": {WORKSPACE, RESOURCE},
    "events/charts": {WORKSPACE, RESOURCE, DASHBOARD},
    "rules": {WORKSPACE, RESOURCE},
    "rules/new": {WORKSPACE, RESOURCE},
    "connections": {WORKSPACE},
    "connections/new": {WORKSPACE},
    "redeliveries": set(),
    "issues": set(),
    "keys": set(),
    "people/0": set(),
}


@pytest.mark.parametrize("type", list(FIELDS))
async def test_each_type_of_session_reaches_its_pages_and_no_others(site: Site, type: str) -> None:
    async with embedded(site, **FIELDS[type], extra_scopes=("events.payload:read",)) as http:
        for page, types in REACHED.items():
            answer = await http.get(site.at(f"/{page}"))
            assert answer.status_code == (200 if type in types else 403), page
        for path in ("/", "/workspaces", "/audit", "/sessions"):
            assert (await http.get(path)).status_code == 403, path
        other = await site.stack.catalog.workspaces.create(
            site.stack.organization, name=f"Other {type}"
        )
        answer = await http.get(site.at("/dashboard", workspace=other.id))
        assert answer.status_code == 404
        await site.stack.catalog.pool.execute("DELETE FROM publishable_keys")
        await site.stack.catalog.pool.execute("DELETE FROM workspaces WHERE id = $1", other.id)


async def test_pages_link_to_nothing_that_the_session_does_not_reach(site: Site) -> None:
    stack = site.stack
    await stack.rule(await stack.connection("Of the product"))
    rule = await of_resource(stack, "prj_7")
    handle = await stack.emit(resource="project", resource_id="prj_7")
    await stack.ended(handle)
    await stack.listed(1)
    async with embedded(site, **FIELDS[RESOURCE], extra_scopes=("events.payload:read",)) as http:
        for page in ("/dashboard", "/events", f"/events/{handle.id}", "/rules", f"/rules/{rule}"):
            text = (await http.get(site.at(page))).text
            for link in set(re.findall(r'href="(/w/[^"?]+)', text)):
                assert (await http.get(link)).status_code == 200, (page, link)


async def of_resource(stack: Stack, resource_id: str) -> str:
    connection = await stack.connection(f"Of {resource_id}")
    rule = await stack.catalog.rules.create(
        stack.organization,
        workspace=stack.workspace,
        connection=connection.id,
        event="user.signup",
        metadata={"action": "track_event"},
        resource="project",
        resource_id=resource_id,
        created_by="test",
    )
    return rule.id


async def test_a_resource_session_sees_and_changes_only_its_own(site: Site) -> None:
    stack = site.stack
    own, foreign = await of_resource(stack, "prj_7"), await of_resource(stack, "prj_8")
    product = await stack.connection("Of the product")
    await stack.rule(product)
    events = [
        await stack.emit(payload={"userId": f"of_{id}"}, resource="project", resource_id=id)
        for id in ("prj_7", "prj_8")
    ]
    for event in events:
        await stack.ended(event)
    await stack.listed(2)
    async with embedded(site, **FIELDS[RESOURCE], extra_scopes=("events.payload:read",)) as http:
        rules, listed = (await http.get(site.at("/rules"))).text, site.at("/events")
        assert own in rules
        assert foreign not in rules
        for path in (listed, f"{listed}?resource=project", f"{listed}/rows"):
            rows = (await http.get(path)).text
            assert events[0].id in rows
            assert events[1].id not in rows
            assert "Of the product" not in rows
        log = (await http.get(f"{listed}/{events[0].id}")).text
        assert "of_prj_7" in log
        assert "Of the product" not in log
        assert (await http.get(f"{listed}/{events[1].id}")).status_code == 404
        for part in ("", "/rows", "/charts"):
            answer = await http.get(f"{listed}{part}?connection={product.id}")
            assert answer.status_code == 404, part
        assert (await http.get(site.at(f"/rules/{foreign}"))).status_code == 404
        for act in ("switch", "delete", "test", ""):
            answer = await http.post(site.at(f"/rules/{foreign}/{act}".rstrip("/")), data={})
            assert answer.status_code == 404, act


async def test_a_rule_of_a_resource_session_is_for_its_resource_and_keeps_the_mapping(
    site: Site,
) -> None:
    stack, connection = site.stack, await site.stack.connection()
    async with embedded(site, **FIELDS[RESOURCE]) as http:
        form = (await http.get(site.at("/rules/new"))).text
        assert 'name="resource"' not in form
        assert 'name="mapping_version"' not in form
        fields = {
            "connection": connection.id,
            "of": connection.id,
            "event": "user.signup",
            "action": "track_event",
            "active": "on",
            "resource": "project",
            "resource_id": "prj_8",
            "mapping_version": "1",
            "m.0.dest": "email",
            "m.0.kind": "fixed",
            "m.0.value": "attacker@example.com",
        }
        made = await http.post(site.at("/rules"), data=fields)
        assert "The rule is saved" in made.text
    [rule] = (await stack.catalog.rules.list(stack.organization, workspace=stack.workspace)).records
    assert (rule.resource, rule.resource_id) == (OWN["resource"], OWN["resource_id"])
    assert await stack.catalog.mappings.default(stack.organization, connection.id) is None


async def test_a_member_looks_and_steers_but_changes_nothing(site: Site) -> None:
    connection = await site.stack.connection()
    at = site.at(f"/connections/{connection.id}")
    async with embedded(site, role="member") as http:
        page = (await http.get(at)).text
        [save] = re.findall(r"<button([^>]*)>Save changes", page)
        assert "disabled" in save
        assert (await http.post(f"{at}/delete", data={})).status_code == 403
        assert (await http.post(f"{at}/pause", data={})).status_code == 200
    found = await site.stack.catalog.connections.get(site.stack.organization, connection.id)
    assert found.status == "paused"


async def test_what_is_shown_to_one_session_is_not_kept_for_another(site: Site) -> None:
    """Open pages share what they read, but not across resources."""
    stack = site.stack
    handle = await stack.emit(resource="project", resource_id="prj_8")
    await stack.ended(handle)
    await stack.listed(1)
    rows = site.at("/events/rows")
    async with embedded(site) as all_of_it, embedded(site, **FIELDS[RESOURCE]) as own:
        assert handle.id in (await all_of_it.get(rows)).text
        assert handle.id not in (await own.get(rows)).text
