"""What an embedded session's token reaches when it is used directly against the API."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from catalog.embed_sessions import DASHBOARD, PAGES, RESOURCE, WORKSPACE
from catalog.rules import Rule
from destinations.customerio.simulator import US_KEY, Fault
from tests.api.caller import BASE, Api, assert_error, filled, open_api
from tests.api.test_scopes import bearer, needed
from tests.api.test_sessions import OF_RESOURCE, minted
from tests.integration.stack import SAMPLE, Stack

TABLE = Path(__file__).parents[2] / "docs" / "embed.md"
OWN = {"resource": "project", "resource_id": "prj_7"}
ALL_OF_IT = {"role": "owner", "scopes": ["events.payload:read"]}
FIELDS: dict[str, dict[str, Any]] = {
    WORKSPACE: {},
    RESOURCE: OF_RESOURCE,
    DASHBOARD: {"session_type": "dashboard"},
}


@pytest.fixture
def api(tenant: Api) -> Api:
    return tenant


@dataclass
class Caller:
    """Someone with the access token of a session."""

    api: Api
    token: str

    async def call(self, method: str, path: str, body: Any = None, **params: Any) -> httpx.Response:
        return await self.api.http.request(
            method, BASE + path, json=body, params=params or None, headers=bearer(self.token)
        )


async def caller(api: Api, type: str = RESOURCE, **fields: Any) -> Caller:
    created = await minted(api, **(ALL_OF_IT | FIELDS[type] | fields))
    return Caller(api, created["access_token"])


async def test_the_table_is_what_each_type_of_session_reaches(api: Api) -> None:
    """`docs/embed.md`; where it differs it is written, and this fails once."""
    callers = {type: await caller(api, type) for type in PAGES}
    rows = []
    for method, path in sorted(await needed(api), key=lambda one: one[::-1]):
        cells = []
        for one in callers.values():
            body = None if method == "GET" else {}
            answer = await one.call(method, filled(path.removeprefix(BASE), {}), body)
            assert answer.status_code in (200, 400, 403, 404), (method, path, answer.text)
            cells.append("" if answer.status_code == 403 else "yes")
        rows.append(f"| `{method} {path.removeprefix(BASE)}` | {' | '.join(cells)} |")
    head = f"| operation | {' | '.join(f'`{type}`' for type in PAGES)} |"
    table = "\n".join([head, "| --- |" + " --- |" * len(PAGES), *rows, ""])
    before, mark, rest = TABLE.read_text().partition(head)
    written, gap, after = rest.partition("\n\n")
    if mark + written + "\n" != table:
        TABLE.write_text(before + table + gap[1:] + after)
    assert mark + written + "\n" == table


@dataclass(frozen=True)
class Place:
    """Something of each kind that a path or body can name, with its resource."""

    ids: dict[str, str]
    connection: str
    resource: dict[str, str]


async def place(api: Api, workspace: str | None = None, **resource: str) -> Place:
    stack, workspace = api.stack, workspace or api.stack.workspace
    connection = await stack.catalog.connections.create(
        stack.organization,
        workspace=workspace,
        name="Customer io",
        type="customer_io",
        fields={"region": "us", "cdpApiKey": US_KEY},
        created_by="test",
    )
    rule = await rule_of(api, workspace, connection.id, **resource)
    body = {"event": "user.signup", "payload": SAMPLE, "workspace": workspace, **resource}
    made = (await api.post("/events", body)).json()["event"]
    await api.ended(made["id"])
    attempts = await api.get(f"/events/{made['id']}/rules/{rule.id}/attempts")
    return Place(
        {
            "workspace_id": workspace,
            "connection_id": connection.id,
            "rule_id": rule.id,
            "event_id": made["id"],
            "attempt_id": attempts.json()["records"][0]["id"],
        },
        connection.id,
        resource,
    )


async def rule_of(api: Api, workspace: str, connection: str, **resource: str) -> Rule:
    return await api.stack.catalog.rules.create(
        api.stack.organization,
        workspace=workspace,
        connection=connection,
        event="user.signup",
        metadata={"action": "track_event"},
        created_by="test",
        **resource,
    )


def body_for(method: str, path: str, there: Place) -> Any:
    """A body that is right but for what it names."""
    in_rule = {"event": "user.signup", "metadata": {"action": "track_event"}, **there.resource}
    emitted = {"event": "user.signup", "payload": SAMPLE, **there.resource}
    of_workspace = {"workspace": there.ids["workspace_id"]}
    bodies: dict[tuple[str, str], Any] = {
        ("POST", "/rules"): {**in_rule, **of_workspace, "connection": there.connection},
        ("POST", "/events"): {**emitted, **of_workspace},
    }
    return bodies.get((method, path), None if method == "GET" else {})


# What isn't an id of something: these are the same for all, or checked below.
UNNAMED = {("GET", "/integrations"), ("GET", "/retry-policy"), ("POST", "/events/bulk")}


@pytest.mark.parametrize("where", ["another resource", "any resource", "another workspace"])
async def test_a_resource_session_reaches_nothing_of_another(api: Api, where: str) -> None:
    if where == "another workspace":
        catalog = api.stack.catalog
        other = await catalog.workspaces.create(api.stack.organization, name="Other")
        foreign = await place(api, other.id, **OWN)
    elif where == "another resource":
        foreign = await place(api, resource="project", resource_id="prj_8")
    else:
        foreign = await place(api)
    session = await caller(api)
    for method, path in await needed(api):
        path = path.removeprefix(BASE)
        named = {"workspace_id", "rule_id", "event_id"} & set(re.findall(r"{(\w+)}", path))
        if where != "another workspace" and named == {"workspace_id"}:
            continue  # its own: what it lists there is checked below
        if (method, path) in UNNAMED:
            continue
        answer = await session.call(
            method, filled(path, foreign.ids), body_for(method, path, foreign)
        )
        assert answer.status_code in (403, 404), (method, path, answer.text)
    bulk = [body_for("POST", "/events", foreign)]
    assert (await session.call("POST", "/events/bulk", bulk)).json()["count"] == 0


async def test_a_resource_session_lists_and_changes_its_own(api: Api) -> None:
    own = await place(api, **OWN)
    await place(api, resource="project", resource_id="prj_8")
    session, ids = await caller(api), own.ids
    at = f"/workspaces/{ids['workspace_id']}"
    await api.stack.listed(2)
    for path, key in ((f"{at}/events", "event_id"), (f"{at}/rules", "rule_id")):
        for asked in ({}, {"resource_id": "prj_8"}):
            listed = (await session.call("GET", path, **asked)).json()["records"]
            assert [one["id"] for one in listed] == [ids[key]]
    attempts = f"/events/{ids['event_id']}/rules/{ids['rule_id']}/attempts"
    for path in (
        f"/events/{ids['event_id']}",
        f"/events/{ids['event_id']}/payload",
        attempts,
        f"{attempts}/{ids['attempt_id']}",
        f"{attempts}/{ids['attempt_id']}/response-details",
    ):
        answer = await session.call("GET", path)
        assert answer.status_code == 200, path
        assert "temporal_url" not in answer.json(), path
    made = await session.call("POST", "/rules", body_for("POST", "/rules", own))
    assert made.status_code == 201
    rule = made.json()["rule"]["id"]
    for change in ({"resource_id": "prj_8"}, {"resource": None}):
        assert_error(await session.call("PATCH", f"/rules/{rule}", change), 403, "resource")
    assert (await session.call("PATCH", f"/rules/{rule}", {"active": False})).status_code == 200
    tried = {"resource_id": "prj_8"}
    assert_error(await session.call("POST", f"/rules/{rule}/test", tried), 403, "resource")
    assert (await session.call("POST", f"/rules/{rule}/test")).status_code == 200
    assert (await session.call("DELETE", f"/rules/{rule}")).status_code == 200
    emitted = await session.call("POST", "/events", body_for("POST", "/events", own))
    assert emitted.status_code == 201


async def failed_for_both(api: Api) -> tuple[Rule, Rule, str]:
    """A rule of the product's, one of a customer's, and the event that failed for both."""
    products = await api.stack.rule(await api.stack.connection("Of the product"))
    theirs = await api.stack.connection("Theirs")
    own = await rule_of(api, api.stack.workspace, theirs.id, **OWN)
    api.stack.sim.fail("identify", fault=Fault(status=400, body="refused"), times=2)
    created = await api.emitted({"event": "user.signup", "payload": SAMPLE, **OWN})
    assert (await api.ended(created["id"]))["failed_count"] == 2
    return products, own, created["id"]


async def test_a_resource_session_sees_and_retries_only_deliveries_of_its_rules(
    stack: Stack,
) -> None:
    """The product's own rules match its customers' events too, and are not theirs to see."""
    async with open_api(stack) as api:
        products, own, event = await failed_for_both(api)
        session = await caller(api)
        seen = (await session.call("GET", f"/events/{event}")).json()
        assert [one["rule"] for one in seen["rule_events"]] == [own.id]
        assert (seen["total_rules"], seen["failed_count"]) == (1, 1)
        assert products.id not in str(seen)
        await stack.listed(1)
        [record] = (await session.call("GET", f"/workspaces/{stack.workspace}/events")).json()[
            "records"
        ]
        assert (record["status"], record.get("headline")) == ("failed", None)
        [record] = (await api.get("/events")).json()["records"]
        assert record["headline"]
        retry = f"/events/{event}/rules/{{}}/retry"
        assert_error(await session.call("POST", retry.format(products.id)), 404)
        assert (await session.call("POST", retry.format(own.id))).status_code == 200
        await api.ended(event)
        by_rule = {one["rule"]: one for one in (await api.event(event))["rule_events"]}
        assert by_rule[own.id]["status"] == "completed"
        assert by_rule[products.id]["status"] == "failed"


async def test_a_resource_session_asks_nothing_about_deliveries_of_other_rules(
    stack: Stack,
) -> None:
    async with open_api(stack) as api:
        products, own, event = await failed_for_both(api)
        await stack.listed(1)
        events = f"/workspaces/{stack.workspace}/events"
        session, why = await caller(api), "rejected_client_error/400//"
        asked = {"connection": products.connection, "reason": why}
        assert [one["id"] for one in (await api.get(events, **asked)).json()["records"]] == [event]
        assert_error(await session.call("GET", events, **asked), 403, "reason")
        assert_error(
            await session.call("GET", events, connection=products.connection), 404, "connection"
        )
        assert_error(await session.call("GET", events, rule=products.id), 404, "rule")
        for allowed in ({"connection": own.connection}, {"rule": own.id}):
            listed = (await session.call("GET", events, **allowed)).json()["records"]
            assert [one["id"] for one in listed] == [event]


async def test_a_workspace_session_stays_in_its_workspace(api: Api) -> None:
    other = await api.stack.catalog.workspaces.create(api.stack.organization, name="Other")
    foreign, session = await place(api, other.id), await caller(api, WORKSPACE)
    for method, path in await needed(api):
        path = path.removeprefix(BASE)
        if (method, path) in UNNAMED:
            continue
        body = body_for(method, path, foreign)
        if (method, path) == ("POST", "/connections"):
            body = {
                "workspace": other.id,
                "type": "customer_io",
                "name": "Mine",
                "metadata": {"region": "us", "cdpApiKey": "x" * 20},
            }
        answer = await session.call(method, filled(path, foreign.ids), body)
        assert answer.status_code in (403, 404), (method, path, answer.text)


async def test_what_a_session_emits_does_not_count_as_a_backends(api: Api) -> None:
    await api.stack.rule(accept="backend")
    session = await caller(api, WORKSPACE)
    body = {"event": "user.signup", "payload": SAMPLE}
    made = (await session.call("POST", "/events", body)).json()["event"]
    assert made["workspace"] == api.stack.workspace
    assert made["created_by"].startswith("sess_")
    assert (await api.ended(made["id"]))["total_rules"] == 0


async def test_an_idempotency_key_of_a_session_stands_for_its_own_events(api: Api) -> None:
    body = {"event": "user.signup", "payload": SAMPLE}
    ids = []
    for session in (await caller(api, WORKSPACE), await caller(api, WORKSPACE)):
        headers = {**bearer(session.token), "Idempotency-Key": "k"}
        for _ in range(2):
            answer = await api.http.post(f"{BASE}/events", json=body, headers=headers)
            ids.append(answer.json()["event"]["id"])
    assert (ids[0], ids[2]) == (ids[1], ids[3])
    assert ids[0] != ids[2]


async def test_what_a_session_does_is_recorded_with_its_id(api: Api) -> None:
    connection, session = await api.stack.connection(), await caller(api, WORKSPACE)
    member = await caller(api, WORKSPACE, role="member")
    await session.call("POST", f"/connections/{connection.id}/pause")
    refused = await member.call("DELETE", f"/connections/{connection.id}")
    assert_error(refused, 403, "Authorization")
    deleted, paused = (await api.get("/audit", limit=2)).json()["records"]
    assert (paused["act"], paused["outcome"]) == ("pause_connection", "done")
    assert (deleted["act"], deleted["outcome"]) == ("delete_connection", "403")
    assert paused["actor"].startswith("sess_")
    assert paused["actor"] != deleted["actor"]
