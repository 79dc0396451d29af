"""Every change is on record before it is made; what can't be recorded isn't done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest

from catalog.scopes import EMIT, OPERATE, READ
from tests.api.caller import BASE, Api, assert_error, open_api
from tests.api.test_scopes import bearer, token
from tests.conftest import psql
from tests.integration.stack import Stack

MIGRATION = Path(__file__).parents[2] / "catalog" / "migrations" / "0074_audit.sql"


async def acts(api: Api, count: int = 5) -> list[dict[str, Any]]:
    """The newest first."""
    answer = await api.get("/audit", limit=count)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["records"]
    return found


async def test_who_paused_what_and_from_where_is_told(tenant: Api) -> None:
    connection = await tenant.stack.connection()
    await tenant.post(f"/connections/{connection.id}/pause")
    [act] = await acts(tenant, 1)
    [key] = [
        key.id
        for key in await tenant.stack.catalog.machine_keys.list(tenant.stack.organization)
        if key.access_key == tenant.machine.access_key
    ]
    assert (act["via"], act["actor"], act["act"]) == ("api", key, "pause_connection")
    assert act["ids"] == {"connection_id": connection.id}
    assert (act["network"], act["outcome"]) == ("127.0.0.0/24", "done")


async def test_what_was_made_is_named_by_its_id(tenant: Api) -> None:
    made = (await tenant.post("/workspaces", {"name": "Audited"})).json()["workspace"]
    [act] = await acts(tenant, 1)
    assert (act["act"], act["ids"]) == ("create_workspace", {"workspace_id": made["id"]})


async def test_a_refused_act_is_on_record_with_its_refusal(tenant: Api) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    assert_error(await tenant.post(f"/connections/{unknown}/pause"), 404)
    assert_error(await tenant.post("/workspaces", {"name": ""}), 400)
    made, paused = await acts(tenant, 2)
    assert (paused["ids"], paused["outcome"]) == ({"connection_id": unknown}, "404")
    assert (made["act"], made["outcome"]) == ("create_workspace", "400")


async def test_an_act_without_the_scope_is_on_record_as_refused(tenant: Api) -> None:
    headers = bearer(await token(tenant, [READ]))
    connection = await tenant.stack.connection()
    path = f"{BASE}/connections/{connection.id}/pause"
    assert_error(await tenant.http.post(path, headers=headers), 403)
    [act] = await acts(tenant, 1)
    assert (act["act"], act["outcome"]) == ("pause_connection", "403")
    assert act["ids"] == {"connection_id": connection.id}


async def test_looking_and_emitting_leave_no_line(tenant: Api) -> None:
    before = await acts(tenant, 1)
    await tenant.get("/rules")
    await tenant.emitted()
    assert await acts(tenant, 1) == before


async def test_no_address_holds_what_somebody_has_typed(tenant: Api) -> None:
    await tenant.post("/connections/ada@example.com/pause")
    [act] = await acts(tenant, 1)
    assert act["ids"] == {}
    assert "ada" not in str(act)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'someone else'",
        "DELETE FROM audit",
        "TRUNCATE audit CASCADE",
        "UPDATE audit_outcomes SET outcome = 'done'",
        "DELETE FROM audit_outcomes",
        "TRUNCATE audit_outcomes",
    ],
)
async def test_nothing_of_it_is_changed_or_deleted(tenant: Api, statement: str) -> None:
    await tenant.post("/workspaces", {"name": ""})
    async with psql(tenant.stack.database) as conn:
        with pytest.raises(asyncpg.RaiseError, match="never changed"):
            await conn.execute(statement)


async def test_the_applications_role_can_only_append(api: Api) -> None:
    """As the owner prepares a database for it: see `deploy/postgres/init.sh`."""
    async with psql(api.stack.database) as conn:
        await conn.execute(
            """
            DROP SCHEMA IF EXISTS as_deployed CASCADE;
            DROP ROLE IF EXISTS audit_app;
            CREATE ROLE audit_app;
            CREATE SCHEMA as_deployed;
            GRANT USAGE ON SCHEMA as_deployed TO audit_app;
            ALTER DEFAULT PRIVILEGES IN SCHEMA as_deployed
                GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO audit_app;
            SET search_path = as_deployed;
            """
        )
        try:
            await conn.execute(MIGRATION.read_text())
            await conn.execute("SET ROLE audit_app")
            await conn.execute(
                "INSERT INTO audit (via, actor, act, ids, created_at) VALUES "
                "('api', 'a', 'old', '{}', clock_timestamp() - interval '60 days')"
            )
            await conn.execute("SELECT set_config('emitonce.forgets_audit', 'on', false)")
            for statement in ("DELETE FROM audit", "UPDATE audit SET actor = 'b'"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await conn.execute(statement)
            await conn.execute("SELECT emitonce_forget_audit(50)")
            assert await conn.fetchval("SELECT count(*) FROM audit") == 0
        finally:
            await conn.execute("RESET ROLE; DROP SCHEMA as_deployed CASCADE; DROP ROLE audit_app")


async def test_only_what_is_past_its_retention_is_forgotten(api: Api) -> None:
    async with psql(api.stack.database) as conn:
        for days in (20, 100):
            await conn.execute(
                "INSERT INTO audit (organisation_id, created_at, via, actor, act, ids) VALUES "
                "($1, clock_timestamp() - make_interval(days => $2), 'api', $3, 'old', '{}')",
                api.stack.organization,
                days,
                str(days),
            )
        await api.stack.catalog.audit.forget(1)  # a month at least
        kept = await conn.fetch("SELECT actor FROM audit WHERE act = 'old'")
    assert [row["actor"] for row in kept] == ["20"]


@pytest.mark.parametrize(
    "refuses", ["check_violation", "disk_full", "read_only_sql_transaction", "lock_not_available"]
)
async def test_what_cannot_be_recorded_is_not_done(api: Api, refuses: str) -> None:
    connection = await api.stack.connection()
    async with psql(api.stack.database) as conn:
        await conn.execute(
            f"""
            CREATE FUNCTION refuses() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{refuses}'; END $$;
            CREATE TRIGGER refuses BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION refuses();
            """
        )
        try:
            answer = await api.post(f"/connections/{connection.id}/pause")
            assert_error(answer, 503)
            assert "so it was not done" in answer.text
            assert (await api.get("/rules")).status_code == 200
        finally:
            await conn.execute("DROP TRIGGER refuses ON audit; DROP FUNCTION refuses")
    found = await api.stack.catalog.connections.get(api.stack.organization, connection.id)
    assert found.status == "active"


async def test_what_is_refused_one_key_fills_the_audit_slowly(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("starter.api.app.REFUSED_ACTS", 5)
    unknown = "/connections/00000000-0000-4000-8000-000000000000/pause"
    async with open_api(stack) as api:
        looks = bearer(await token(api, [READ]))
        for _ in range(9):
            assert_error(await api.http.post(f"{BASE}{unknown}", headers=looks), 403)
        answers = [await api.post(unknown) for _ in range(9)]
        assert [answer.status_code for answer in answers] == [404] * 5 + [429] * 4
        assert int(answers[-1].headers["Retry-After"]) >= 1
        assert (await api.get("/rules")).status_code == 200
        outcomes = [
            act["outcome"] for act in await acts(api, 50) if act["act"] == "pause_connection"
        ]
    assert outcomes[:10] == ["404"] * 5 + ["403"] * 5


async def test_who_may_not_manage_does_not_read_it(tenant: Api) -> None:
    headers = bearer(await token(tenant, [EMIT, READ, OPERATE]))
    assert_error(await tenant.http.get(f"{BASE}/audit", headers=headers), 403)


async def test_acts_of_others_are_not_shown(tenant: Api) -> None:
    stranger = await tenant.stranger()
    await tenant.call("POST", "/workspaces", {"name": "Theirs"}, machine=stranger)
    answer = await tenant.call("GET", "/audit", machine=stranger)
    assert [act["act"] for act in answer.json()["records"]] == ["create_workspace"]
    assert answer.json()["records"][0]["id"] not in [act["id"] for act in await acts(tenant, 50)]
