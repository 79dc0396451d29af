"""Getting events in: accepted means stored, one answer for one event, nothing half done."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from tests.api.caller import Api, assert_error, is_uuid, open_api
from tests.conftest import psql
from tests.integration.stack import SAMPLE, eventually, open_stack


@pytest.fixture
def api(tenant: Api) -> Api:
    return tenant


async def test_accepted_event_is_delivered(api: Api):
    await api.stack.rule(override="Signed Up")
    created = await api.emitted()
    assert is_uuid(created["id"])
    assert created == {
        "id": created["id"],
        "event": "user.signup",
        "type": "event",
        "resource": "global",
        "workspace": api.stack.workspace,
        "created_by": created["created_by"],
        "created_at": created["created_at"],
    }
    event = await api.ended(created["id"])
    assert event["status"] == "completed"
    assert event["created_at"] == created["created_at"]
    assert event["created_by"] == created["created_by"]
    assert [call.call for call in api.stack.calls()] == ["identify", "track"]


async def test_machine_token_emits_into_the_workspace_it_names(api: Api):
    body = {"event": "user.signup", "payload": SAMPLE}
    assert_error(await api.post("/events", body), 400, "workspace")
    answer = await api.post("/events", body | {"workspace": api.stack.workspace.upper()})
    assert answer.status_code == 201
    assert answer.json()["event"]["workspace"] == api.stack.workspace
    for foreign in (str(uuid.uuid4()), "no uuid"):
        assert_error(await api.post("/events", body | {"workspace": foreign}), 404, "workspace")


async def test_publishable_key_emits_into_its_own_workspace_alone(api: Api):
    other = await api.stack.catalog.workspaces.create(api.stack.organization, name="Other app")
    body = {"event": "user.signup", "payload": SAMPLE, "workspace": other.id}
    assert_error(await api.emit(body), 404, "workspace")
    assert (await api.emitted(body | {"workspace": api.stack.workspace}))["id"]


async def test_unknown_keys_and_absent_fields_are_fine(api: Api):
    created = await api.emitted(
        {
            "event": " user.signup ",
            "payload": {},
            "resource": None,
            "resource_id": "acc_7",
            "type": "event",
            "something": {"of": "theirs"},
        }
    )
    assert created["event"] == "user.signup"
    assert created["resource"] == "global"
    assert created["resource_id"] == "acc_7"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[]", "body"),
        (b'"text"', "body"),
        (b"\xff\xfe", "body"),
        (b"\xef\xbb\xbf{}", "body"),
        (b'{"event": "a", "event": "b", "payload": {}}', "body"),
        (b'{"event": "a", "payload": {"n": NaN}}', "body"),
        (b'{"event": "a", "payload": {"n": 1e999}}', "body"),
        (b'{"event": "a", "payload": {"n": ' + b"9" * 5_000 + b"}}", "body"),
        (b'{"event": "a", "payload": {"t": "\\ud800"}}', "body"),
        (b'{"event": "a", "payload": {"t": "\\u0000"}}', "body"),
        (b'{"event": "a", "payload": {"t\\u0000": 1}}', "body"),
        (b"[" * 10_000, "body"),
        (b'{"event": "a", "payload": ' + b'{"a":' * 60 + b"1" + b"}" * 60 + b"}", "payload"),
        (b'{"payload": {}}', "event"),
        (b'{"event": "a"}', "payload"),
        (b'{"event": 1, "payload": {}}', "event"),
        (b'{"event": null, "payload": {}}', "event"),
        (b'{"event": "", "payload": {}}', "event"),
        (b'{"event": "  ", "payload": {}}', "event"),
        (b'{"event": "a\\nb", "payload": {}}', "event"),
        (b'{"event": "test@example.com", "payload": {}}', "event"),
        ('{"event": "' + "ü" * 60 + '", "payload": {}}', "event"),
        (b'{"event": "a", "payload": []}', "payload"),
        (b'{"event": "a", "payload": null}', "payload"),
        (b'{"event": "a", "payload": "{}"}', "payload"),
        (b'{"event": "a", "payload": {}, "resource": 7}', "resource"),
        (b'{"event": "a", "payload": {}, "resource_id": 7}', "resource_id"),
        (b'{"event": "a", "payload": {}, "resource_id": " "}', "resource_id"),
        (b'{"event": "a", "payload": {}, "type": "rule"}', "type"),
        (b'{"event": "a", "payload": {}, "workspace": 7}', "workspace"),
        (b'{"event": "a", "payload": {}, "timestamp": "yesterday"}', "timestamp"),
        (b'{"event": "a", "payload": {}, "timestamp": 1764000000}', "timestamp"),
    ],
)
async def test_bad_event_is_refused_and_nothing_stored(
    shared_api: Api, body: bytes | str, param: str
):
    answer = await shared_api.emit(body if isinstance(body, bytes) else body.encode())
    assert_error(answer, 400, param)
    listed = await shared_api.get(f"/workspaces/{shared_api.stack.workspace}/events")
    assert listed.json()["records"] == []


async def test_body_over_the_limit_is_refused_by_size_announced_or_sent(api: Api):
    large = b'{"event": "a", "payload": {"t": "' + b"x" * 256 * 1024 + b'"}}'
    assert_error(await api.emit(large), 413, "body")

    async def chunks():
        for start in range(0, len(large), 65_536):
            yield large[start : start + 65_536]

    answer = await api.http.post(
        "/api/v1/events",
        content=chunks(),
        headers={"X-Meshes-Publishable-Key": api.public_key},
    )
    assert_error(answer, 413, "body")


async def test_same_key_and_body_are_one_event(api: Api):
    await api.stack.rule()
    first = await api.emit(Idempotency_Key="order-1")
    again = await api.emit(Idempotency_Key="order-1")
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    other = {"event": "user.signup", "payload": {"userId": "usr_1"}}
    assert_error(await api.emit(other, Idempotency_Key="order-1"), 409, "Idempotency-Key")
    await api.ended(first.json()["event"]["id"])
    assert len(api.stack.calls()) == 2


async def test_idempotency_key_holds_in_one_workspace(api: Api):
    other = await api.stack.catalog.workspaces.create(api.stack.organization, name="Other app")
    body = {"event": "user.signup", "payload": SAMPLE}
    ids = set()
    for workspace in (api.stack.workspace, other.id):
        answer = await api.call(
            "POST",
            "/events",
            body | {"workspace": workspace},
            headers={"Idempotency-Key": "order-1"},
        )
        ids.add(answer.json()["event"]["id"])
    assert len(ids) == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "ü"])
async def test_idempotency_key_that_is_none_is_refused(shared_api: Api, key: str):
    answer = await shared_api.http.post(
        "/api/v1/events",
        content=b"{}",
        headers=[
            (b"x-meshes-publishable-key", shared_api.public_key.encode()),
            (b"idempotency-key", key.encode()),
        ],
    )
    assert_error(answer, 400, "Idempotency-Key")


async def test_bulk_answers_in_order(api: Api):
    body = [{"event": f"event.{n}", "payload": SAMPLE} for n in range(100)]
    answer = await api.emit(body, path="/events/bulk")
    assert answer.status_code == 201
    result = answer.json()
    assert (result["count"], result["error_count"]) == (100, 0)
    assert [record["event"] for record in result["records"]] == [one["event"] for one in body]
    assert len({record["id"] for record in result["records"]}) == 100


async def test_bulk_refuses_single_events_by_themselves(api: Api):
    body = [
        {"event": "a", "payload": {}},
        {"event": "", "payload": {}},
        "no event",
        {"event": "d", "payload": {}, "workspace": str(uuid.uuid4())},
        {"event": "e", "payload": {}},
    ]
    answer = await api.emit(body, path="/events/bulk")
    assert answer.status_code == 207
    result = answer.json()
    assert (result["count"], result["error_count"]) == (2, 3)
    kinds = [record.get("event") or record["error"]["name"] for record in result["records"]]
    assert kinds == ["a", "BadRequest", "BadRequest", "NotFound", "e"]


@pytest.mark.parametrize("body", [b"{}", b"[]", b"[" + b"{}," * 100 + b"{}]", b"null"])
async def test_bulk_takes_1_to_100_events(shared_api: Api, body: bytes):
    assert_error(await shared_api.emit(body, path="/events/bulk"), 400, "body")


async def test_bulk_key_stands_for_the_whole_batch(api: Api):
    batch = [{"event": f"event.{n}", "payload": {"userId": "u"}} for n in range(5)]
    first = await api.emit(batch, path="/events/bulk", Idempotency_Key="batch-1")
    again = await api.emit(batch, path="/events/bulk", Idempotency_Key="batch-1")
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    longer = [*batch, {"event": "event.5", "payload": {}}]
    for other in (longer, batch[:-1], [*batch[:-1], {"event": "x", "payload": {}}]):
        answer = await api.emit(other, path="/events/bulk", Idempotency_Key="batch-1")
        assert_error(answer, 409, "Idempotency-Key")
    single = await api.emit(batch[0], Idempotency_Key="batch-1")
    assert single.status_code == 201
    await api.stack.listed(6)
    listed = (await api.get(f"/workspaces/{api.stack.workspace}/events")).json()
    assert len(listed["records"]) == 6


async def test_accepting_asks_the_database_for_nothing(temporal, database: str):
    """With all of its tables locked, events are accepted by what is known already."""
    async with open_stack(temporal, database, working=False) as stack, open_api(stack) as api:
        body = {"event": "a", "payload": {}, "workspace": stack.workspace}

        async def accepted() -> bool:
            answers = [await api.emit(), await api.post("/events", body)]
            return [answer.status_code for answer in answers] == [201, 201]

        async def accepted_while_locked() -> bool:
            # On a busy machine what is known may be dropped just then, for want of a sign of
            # life from the database; so it is tried anew.
            assert await accepted()
            async with psql(database) as conn, conn.transaction():
                await conn.execute("LOCK TABLE publishable_keys, machine_keys, workspaces, rules")
                return await accepted()

        await eventually(accepted_while_locked, within=60)


async def test_revoked_key_emits_no_more(api: Api):
    await api.emitted()
    keys = api.stack.catalog.publishable_keys
    [key] = await keys.list(api.stack.organization)
    await keys.revoke(api.stack.organization, key.id)
    assert_error(await api.emit(), 401)


async def test_emitting_at_once_gives_each_its_own_id(api: Api):
    made = await asyncio.gather(*(api.emitted() for _ in range(20)))
    assert len({one["id"] for one in made}) == 20


async def test_an_event_that_came_through_too_many_webhooks_is_not_accepted(api: Api):
    for path in ("/events", "/events/bulk"):
        one = {"event": "user.signup", "payload": SAMPLE}
        body = one if path == "/events" else [one]
        assert (await api.emit(body, path=path, X_Emitonce_Hops="3")).status_code == 201
        for count in ("4", "-1", "many", "9" * 5_000):
            answer = await api.emit(body, path=path, X_Emitonce_Hops=count)
            assert_error(answer, 400, "X-Emitonce-Hops")
