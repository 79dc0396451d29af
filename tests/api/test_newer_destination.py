"""A connection that a newer release has made is listed here; what can't be done says why."""

from __future__ import annotations

import httpx

from tests.api.caller import Api, assert_error
from tests.console.site import open_site, sign_in, token_in

PROBLEM = "this release has no destination of type 'carrier_pigeon'"


async def from_newer_release(api: Api) -> str:
    connection = await api.stack.connection()
    await api.stack.catalog.pool.execute(
        "UPDATE connections SET type = 'carrier_pigeon' WHERE id = $1", connection.id
    )
    return connection.id


async def test_an_unknown_type_is_a_conflict_that_says_to_upgrade(api: Api) -> None:
    connection = await from_newer_release(api)
    listed = (await api.get("/connections")).json()["records"]
    assert [one["type"] for one in listed] == ["carrier_pigeon"]
    for path in ("fields", "mappings/default"):
        answer = await api.get(f"/connections/{connection}/{path}")
        assert_error(answer, 409)
        assert PROBLEM in answer.text
    answer = await api.post(f"/connections/{connection}/verify")
    assert_error(answer, 409)
    assert PROBLEM in answer.text


async def test_a_connection_whose_secrets_cannot_be_read_says_so(api: Api) -> None:
    connection = await api.stack.connection()
    await api.stack.catalog.pool.execute(
        "UPDATE connections SET encrypted_key = decode('00', 'hex') || encrypted_key"
    )
    answer = await api.post(f"/connections/{connection.id}/verify")
    assert_error(answer, 503)
    assert "EMITONCE_CREDENTIAL_KEYS" in answer.text


async def test_pages_of_an_unknown_type_say_so(api: Api) -> None:
    async with (
        open_site(api.stack) as site,
        httpx.AsyncClient(base_url=site.url, follow_redirects=True) as http,
    ):
        connection = await from_newer_release(api)
        await sign_in(http, site.access_key, site.secret_key)
        base = f"/w/{api.stack.workspace}"
        page = await http.get(f"{base}/connections")
        assert "carrier_pigeon" in page.text
        typed = {"csrf": token_in(page), "connection": connection, "event": "user.signup"}
        for shown in (
            await http.get(f"{base}/connections/{connection}"),
            await http.get(f"{base}/rules/new", params={"connection": connection}),
            await http.post(f"{base}/rules", data=typed),
        ):
            assert shown.status_code == 409
            assert "this release has no destination of type" in shown.text.lower()
