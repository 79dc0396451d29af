"""An afternoon of changes, by command, API and console, is told back by `audit list` alone."""

from __future__ import annotations

import json
from typing import Any

import httpx

from tests.api.caller import BASE
from tests.cli.conftest import Dev
from tests.console.site import sign_in, token_in

Told = tuple[str, str, str, set[str], str]  # by way of what, who, did what, to what, outcome


async def audit(dev: Dev) -> list[Told]:
    """The oldest first."""
    ran = await dev.cli.run("audit", "list", "--lines")
    assert ran.code == 0, ran.err
    lines: list[dict[str, Any]] = [json.loads(line) for line in ran.out.splitlines()]
    return [
        (one["via"], one["actor"], one["act"], set(one["ids"].values()), one["outcome"])
        for one in reversed(lines)
    ]


async def test_an_afternoon_is_told_back_by_the_audit_alone(dev: Dev) -> None:
    told_before = len(await audit(dev))
    happened: list[Told] = []

    workspace = await dev.workspace("Afternoon")
    connection = await dev.connection(workspace)
    rule = await dev.rule(workspace, connection)
    on_call = await dev.cli.json(
        *("keys", "create", "token", "--name", "on call", "--scope", "read", "--scope", "operate")
    )
    colleague = await dev.cli.json("keys", "create", "machine", "--name", "colleague")
    listed = (await dev.cli.json("keys", "list"))["records"]
    ids = {key["access_key"]: key["id"] for key in listed if "access_key" in key}
    on_call_id, colleague_id = ids[on_call["access_key"]], ids[colleague["access_key"]]
    [me] = {actor for via, actor, *_ in (await audit(dev))[told_before:] if via == "cli"}
    happened += [
        ("cli", me, "create_workspace", {workspace}, "done"),
        ("cli", me, "create_connection", {workspace, connection}, "done"),
        ("cli", me, "create_rule", {workspace, connection, rule}, "done"),
        ("cli", me, "create_key", {on_call_id}, "done"),
        ("cli", me, "create_key", {colleague_id}, "done"),
    ]

    headers = {"Authorization": f"Bearer {on_call['token']}"}
    async with httpx.AsyncClient(base_url=dev.ready["http"], headers=headers) as http:
        assert (await http.get(f"{BASE}/rules?workspace={workspace}")).status_code == 200
        paused = await http.post(f"{BASE}/connections/{connection}/pause")
        refused = await http.delete(f"{BASE}/rules/{rule}")
        resumed = await http.post(f"{BASE}/connections/{connection}/resume")
    assert [one.status_code for one in (paused, refused, resumed)] == [200, 403, 200]
    happened += [
        ("api", on_call_id, "pause_connection", {connection}, "done"),
        ("api", on_call_id, "delete_rule", {rule}, "403"),
        ("api", on_call_id, "resume_connection", {connection}, "done"),
    ]

    async with httpx.AsyncClient(base_url=dev.ready["http"], timeout=30) as http:
        await sign_in(http, colleague["access_key"], "not the secret of this key at all, no")
        await sign_in(http, colleague["access_key"], colleague["secret_key"])
        keys = f"/w/{workspace}/keys"
        token = token_in(await http.get(keys))
        revoked = await http.post(f"{keys}/machine/{on_call_id}/revoke", data={"csrf": token})
        deleted = await http.post(f"/w/{workspace}/rules/{rule}/delete", data={"csrf": token})
        assert [revoked.status_code, deleted.status_code] == [303, 303]
        await http.post("/sign-out", data={"csrf": token})
    happened += [
        ("console", colleague_id, "sign_in", set(), "401"),
        ("console", colleague_id, "sign_in", set(), "done"),
        ("console", colleague_id, "revoke_machine_key", {workspace, on_call_id}, "done"),
        ("console", colleague_id, "delete_rule", {workspace, rule}, "done"),
    ]

    ran = await dev.cli.run("connections", "pause", "00000000-0000-4000-8000-000000000000")
    assert ran.code != 0
    missing = {"00000000-0000-4000-8000-000000000000"}
    happened.append(("cli", me, "pause_connection", missing, "failed"))

    told = (await audit(dev))[told_before:]
    assert told == happened
