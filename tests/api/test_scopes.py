"""A key does what its scopes allow and nothing else, on every route and in the console."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from catalog.errors import InvalidValue, OlderRelease
from catalog.scopes import ALL, EMIT, MANAGE, PAYLOAD, READ, SCOPES
from tests.api.caller import BASE, Api, Machine, assert_error, filled
from tests.api.test_openapi import operations
from tests.conftest import psql

TABLE = Path(__file__).parents[2] / "docs" / "scopes.md"


@pytest.fixture
def api(tenant: Api) -> Api:
    return tenant


async def token(api: Api, scopes: Iterable[str], **fields: datetime) -> str:
    made = await api.stack.catalog.machine_keys.create(
        api.stack.organization, name="t", created_by="test", scopes=scopes, as_token=True, **fields
    )
    return made.secret_key.get_secret_value()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def needed(api: Api) -> dict[tuple[str, str], str]:
    """Of each operation that asks for a key, the scope by its document."""
    _, found = await operations(api)
    return {
        (method.upper(), path): next(
            way["machineToken"][0] for way in ways if "machineToken" in way
        )
        for method, path, operation in found
        if (ways := operation.get("security"))
    }


async def test_the_table_of_scopes_is_the_document(api: Api) -> None:
    """`docs/scopes.md`; where it differs it is written, and this fails once."""
    rows = [
        f"| `{method} {path.removeprefix(BASE)}` | "
        + " | ".join("yes" if scope == has else "" for has in SCOPES)
        + " |"
        for (method, path), scope in sorted(
            (await needed(api)).items(), key=lambda one: one[0][::-1]
        )
    ]
    head = ["| operation | " + " | ".join(f"`{scope}`" for scope in SCOPES) + " |"]
    table = "\n".join([*head, "| --- |" + " --- |" * len(SCOPES), *rows, ""])
    before, mark, written = TABLE.read_text().partition(head[0])
    if mark + written != table:
        TABLE.write_text(before + table)
    assert mark + written == table


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_key_reaches_the_routes_of_its_scope_and_no_others(api: Api, scope: str) -> None:
    headers = bearer(await token(api, {scope}))
    for (method, path), wanted in (await needed(api)).items():
        body = None if method == "GET" else {}
        answer = await api.http.request(method, filled(path, {}), json=body, headers=headers)
        refused = answer.status_code == 403 and "lacks the scope" in answer.text
        assert refused == (scope != wanted), (method, path, answer.text)
        if refused:
            assert_error(answer, 403, "Authorization")


@pytest.mark.parametrize("scopes", [[READ], [READ, PAYLOAD]])
async def test_people_are_shown_and_searched_with_the_scope_for_payloads(
    api: Api, monkeypatch: pytest.MonkeyPatch, scopes: list[str]
) -> None:
    monkeypatch.setattr("emitonce.start.encrypts", lambda client: True)
    created = await api.emitted({"event": "x", "payload": {"userId": "usr_1"}})
    await api.ended(created["id"])
    await api.stack.listed(1)
    headers, allowed = bearer(await token(api, scopes)), PAYLOAD in scopes
    [record] = (await api.http.get(f"{BASE}/events", headers=headers)).json()["records"]
    assert record.get("person") == ({"userId": "usr_1"} if allowed else None)
    asked = {"person": "usr_1"}
    answer = await api.http.get(f"{BASE}/events", params=asked, headers=headers)
    assert answer.status_code == (200 if allowed else 403)


async def test_a_signing_key_is_held_to_its_scopes_too(api: Api) -> None:
    made = await api.stack.catalog.machine_keys.create(
        api.stack.organization, name="reads", created_by="test", scopes=[READ]
    )
    secret = made.secret_key.get_secret_value()
    reader = Machine(api.stack.organization, made.key.access_key, secret)
    assert (await api.call("GET", "/rules", machine=reader)).status_code == 200
    assert_error(await api.call("POST", "/workspaces", {"name": "New"}, machine=reader), 403)


async def test_keys_without_scopes_may_do_everything(api: Api) -> None:
    [key] = [
        key
        for key in await api.stack.catalog.machine_keys.list(api.stack.organization)
        if key.access_key == api.machine.access_key
    ]
    assert key.scopes == ALL
    assert not key.is_token
    assert (await api.call("POST", "/workspaces", {"name": "New"})).status_code == 201


async def test_a_token_emits_and_its_foreign_things_are_not_found(api: Api) -> None:
    headers = bearer(await token(api, [EMIT, READ]))
    body = {"event": "user.signup", "payload": {"userId": "u"}, "workspace": api.stack.workspace}
    emitted = await api.http.post(f"{BASE}/events", json=body, headers=headers)
    assert emitted.status_code == 201
    other = await api.stack.catalog.organizations.create("Other")
    foreign = await api.stack.catalog.workspaces.create(other.id, name="Theirs")
    answer = await api.http.get(f"{BASE}/workspaces/{foreign.id}", headers=headers)
    assert_error(answer, 404)


@pytest.mark.parametrize("changed", ["last", "first part", "cut", "longer", "of another"])
async def test_a_wrong_token_is_refused(api: Api, changed: str) -> None:
    right = await token(api, ALL)
    end = "A" if right[-1] != "A" else "B"
    _, _, secret = right.rpartition("_")
    shown = {
        "last": right[:-1] + end,
        "first part": f"emitonce_{'x' * 12}_{secret}",
        "cut": right[:-1],
        "longer": right + "A",
        "of another": f"{(await token(api, ALL)).rpartition('_')[0]}_{secret}",
    }[changed]
    assert (await api.http.get(f"{BASE}/rules", headers=bearer(right))).status_code == 200
    assert_error(await api.http.get(f"{BASE}/rules", headers=bearer(shown)), 401)


async def test_a_token_is_kept_as_a_hash_only_and_ends(api: Api) -> None:
    keys = api.stack.catalog.machine_keys
    soon = datetime.now(UTC) + timedelta(days=1)
    made = await keys.create(
        api.stack.organization, name="t", created_by="t", expires_at=soon, as_token=True
    )
    secret = made.secret_key.get_secret_value()
    assert made.key.expires_at == soon
    async with psql(api.stack.database) as conn:
        row = await conn.fetchrow(
            "SELECT m::text AS all FROM machine_keys m WHERE id = $1", made.key.id
        )
        assert secret.rpartition("_")[2] not in row["all"]
    await keys.revoke(api.stack.organization, made.key.id)
    await api.stack.catalog.api_key_lookup.settled()
    assert_error(await api.http.get(f"{BASE}/rules", headers=bearer(secret)), 401)


@pytest.mark.parametrize("scopes", [[], ["everything"], [READ, "write"]])
async def test_scopes_that_do_not_exist_are_refused(api: Api, scopes: list[str]) -> None:
    with pytest.raises(InvalidValue, match="emit, read, payload, operate, manage"):
        await token(api, scopes)


async def test_no_key_is_narrowed_while_an_older_api_may_run(api: Api) -> None:
    async with psql(api.stack.database) as conn:
        await conn.execute(
            "INSERT INTO older_api (runs_until, lacks) "
            "VALUES (clock_timestamp() + interval '1 minute', 'scopes')"
        )
        try:
            for scopes, as_token in (([MANAGE], False), (ALL, True)):
                with pytest.raises(OlderRelease, match="finish the rollout"):
                    await api.stack.catalog.machine_keys.create(
                        api.stack.organization,
                        name="t",
                        created_by="t",
                        scopes=scopes,
                        as_token=as_token,
                    )
        finally:
            await conn.execute("DELETE FROM older_api WHERE lacks = 'scopes'")
