"""What a page's public key may do, and that a rule or a key can forbid it to rewrite people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from catalog.api_key_rights import KeyRights
from catalog.errors import InvalidValue, OlderRelease
from catalog.publishable_keys import PublishableKey
from catalog.rule_change import RuleChange
from delivery.mapping_schema import MappingSchema
from delivery.selection import Mode, Selection
from destinations.registry import FIRST_RELEASE
from operations.event_redelivery import redeliver
from operations.send_again import send_again
from tests.api.caller import Api, assert_error, tenant_of
from tests.integration.stack import SAMPLE

SHOP = "https://shop.example.com"
VICTIM = {"userId": "usr_2048", "email": "victim@example.com"}


@pytest_asyncio.fixture
async def api(shared_api: Api) -> Api:
    return await tenant_of(shared_api)


async def narrowed(api: Api, **rights: Any) -> PublishableKey:
    return await api.stack.catalog.publishable_keys.create(
        api.stack.organization,
        workspace=api.stack.workspace,
        name="Shop",
        created_by="test",
        rights=KeyRights.of(
            rights.get("events"), rights.get("origins"), rights.get("identify", "any")
        ),
    )


async def known_person(api: Api) -> None:
    """As a backend made them at Customer.io."""
    await api.stack.rule()
    sent = {"event": "user.signup", "payload": VICTIM, "workspace": api.stack.workspace}
    made = (await api.post("/events", sent)).json()["event"]
    assert (await api.ended(made["id"]))["status"] == "completed"


def person(api: Api) -> dict[str, Any]:
    [found] = api.stack.sim.people
    return {"id": found.id, "email": found.email, **found.attributes}


async def test_rule_can_refuse_events_of_pages(api: Api) -> None:
    await known_person(api)
    await api.stack.rule(event="account.updated", accept="backend")
    attack = {"event": "account.updated", "payload": {**VICTIM, "plan": "none"}}
    before = person(api)
    ended = await api.ended((await api.emitted(attack))["id"])
    assert (ended["status"], ended["total_rules"]) == ("completed", 0)
    assert person(api) == before
    own = await api.post("/events", {**attack, "workspace": api.stack.workspace})
    assert (await api.ended(own.json()["event"]["id"]))["total_rules"] == 1
    assert person(api)["plan"] == "none"


@pytest.mark.parametrize(
    "payload",
    [
        VICTIM,
        {"userId": "usr_2048"},
        {"email": "victim@example.com"},
        {"anonymousId": "visitor-1", "userId": 2048},
        {"anonymousId": "visitor-1", "email": " Victim@Example.com "},
        {"anonymousId": "victim@example.com"},
        {"anonymousId": "visitor-1", "Email": "victim@example.com"},
    ],
    ids=["both", "id", "e-mail", "number", "padded", "visitor", "other case"],
)
async def test_anonymous_key_touches_no_known_person(api: Api, payload: dict[str, Any]) -> None:
    await known_person(api)
    key = await narrowed(api, identify="anonymous")
    before, calls = person(api), len(api.stack.calls())
    made = await api.emitted(
        {"event": "user.signup", "payload": {**payload, "plan": "none"}},
        X_Meshes_Publishable_Key=key.public_key,
    )
    ended = await api.ended(made["id"])
    assert ended["status"] == "failed"
    [delivery] = ended["rule_events"]
    assert delivery["last_error"].startswith("mapping_error: ")
    assert "emit events about known people from a backend" in delivery["last_error"]
    assert "victim" not in delivery["last_error"].lower()
    assert len(api.stack.calls()) == calls
    assert person(api) == before


@pytest.mark.parametrize(
    ("source", "dest"),
    [
        ("user.id", "userId"),
        ("user.id", "id"),
        ("user.id", "cio_id"),
        ("user.id", "anonymous_id"),
        ("user.mail", "email"),
        ("user.mail", "anonymousId"),
        ("user.mail", "EMAIL"),
        ("ref", "userId"),
        ("refs.0", "userId"),
        ("refs.1", "email"),
    ],
)
async def test_mapping_gives_an_anonymous_key_no_known_person(
    api: Api, source: str, dest: str
) -> None:
    await known_person(api)
    connection = await api.stack.connection("Mapped")
    fields = [{"dest": dest, "source": {"type": "path", "value": source}}]
    await api.stack.catalog.mappings.put_default(
        api.stack.organization,
        connection.id,
        schema=MappingSchema.model_validate({"fields": fields}),
        created_by="test",
    )
    await api.stack.rule(connection, "page.viewed")
    key = await narrowed(api, identify="anonymous")
    before, calls = person(api), len(api.stack.calls())
    payload = {
        "user": {"id": "usr_2048", "mail": "victim@example.com"},
        "ref": "usr_2048",
        "refs": ["usr_2048", "victim@example.com"],
        "plan": "none",
    }
    made = await api.emitted(
        {"event": "page.viewed", "payload": payload}, X_Meshes_Publishable_Key=key.public_key
    )
    assert (await api.ended(made["id"]))["status"] == "failed"
    assert len(api.stack.calls()) == calls
    assert person(api) == before


async def test_anonymous_key_emits_about_visitors(api: Api) -> None:
    await api.stack.rule()
    key = await narrowed(api, identify="anonymous")
    made = await api.emitted(
        {"event": "user.signup", "payload": {"anonymousId": "visitor-1", "page": "/"}},
        X_Meshes_Publishable_Key=key.public_key,
    )
    ended = await api.ended(made["id"])
    assert ended["status"] == "completed"
    assert ended["source"] == {"kind": "publishable", "key": key.id, "identify": "anonymous"}
    assert [call.body["anonymousId"] for call in api.stack.calls()] == ["visitor-1"] * 2


async def test_worker_that_cannot_tell_what_all_know_still_heeds_the_key(
    api: Api, shared_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while the database can't be reached: then nothing counts as known to all."""
    await known_person(api)
    key = await narrowed(api, identify="anonymous")
    monkeypatch.setattr(shared_api.stack, "fleet", FIRST_RELEASE)
    made = await api.emitted(
        {"event": "user.signup", "payload": VICTIM}, X_Meshes_Publishable_Key=key.public_key
    )
    assert (await api.ended(made["id"]))["status"] == "failed"
    assert len(api.stack.calls()) == 2


async def test_redelivery_keeps_what_the_key_was(api: Api) -> None:
    await api.stack.rule()
    key = await narrowed(api, identify="anonymous")
    made = await api.emitted(
        {"event": "user.signup", "payload": VICTIM}, X_Meshes_Publishable_Key=key.public_key
    )
    assert (await api.ended(made["id"]))["status"] == "failed"
    await redeliver(api.stack.client, made["id"])
    again = await api.ended(made["id"])
    assert again["status"] == "failed"
    assert again["source"]["identify"] == "anonymous"
    assert api.stack.calls() == []


async def test_event_that_is_sent_again_keeps_its_source(api: Api) -> None:
    rule = await api.stack.rule()
    made = await api.emitted()
    await api.ended(made["id"])
    await api.stack.catalog.rules.update(
        api.stack.organization,
        rule.id,
        RuleChange(metadata={"action": "track_event", "accept": "backend"}),
    )
    now = datetime.now(UTC)
    selection = Selection(
        workspace=api.stack.workspace,
        accepted_from=now - timedelta(hours=1),
        accepted_to=now,
        as_of=now,
        mode=Mode.AGAIN,
    )
    again = await api.ended(await send_again(api.stack.client, made["id"], selection))
    assert again["total_rules"] == 0
    assert len(api.stack.calls()) == 2


async def test_foreign_client_can_only_narrow_by_what_it_writes(api: Api) -> None:
    """A `source` of its own that is none of ours was always ignored."""
    await api.stack.rule()
    for source, status in (
        ("web", "completed"),
        ({"kind": "partner"}, "completed"),
        ({"kind": "publishable"}, "completed"),
        ({"kind": "publishable", "identify": "anonymous"}, "failed"),
        ({"kind": "publishable", "identify": "of a newer release"}, "failed"),
        ({"kind": "publishable", "identify": ["any"]}, "failed"),
    ):
        handle = await api.stack.emit(source=source)
        assert (await api.ended(handle.id))["status"] == status, source


async def test_key_emits_no_event_but_its_own(api: Api) -> None:
    key = await narrowed(api, events=["page.viewed", "cart.filled"])
    named = {"X_Meshes_Publishable_Key": key.public_key}
    assert_error(await api.emit(**named), 403, "event")
    allowed = {"event": " page.viewed ", "payload": {"anonymousId": "v"}}
    assert (await api.emit(allowed, **named)).status_code == 201
    refused = {"event": "Page.Viewed", "payload": {"anonymousId": "v"}}
    answer = await api.emit([allowed, refused], path="/events/bulk", **named)
    assert answer.status_code == 207
    assert (answer.json()["count"], answer.json()["error_count"]) == (1, 1)


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (SHOP, 201),
        ("https://Shop.Example.COM", 201),
        ("http://localhost:3000", 201),
        (None, 403),
        ("null", 403),
        ("", 403),
        ("http://shop.example.com", 403),
        ("https://shop.example.com:8443", 403),
        ("https://shop.example.com.evil.example", 403),
        ("https://evil.example/https://shop.example.com", 403),
        (f"{SHOP}/", 403),
        (f"{SHOP} https://evil.example", 403),
    ],
)
async def test_key_is_good_from_its_own_pages_alone(
    api: Api, origin: str | None, status: int
) -> None:
    key = await narrowed(api, origins=[f"{SHOP}:443", "http://LOCALHOST:3000"])
    headers = {} if origin is None else {"Origin": origin}
    answer = await api.emit(X_Meshes_Publishable_Key=key.public_key, **headers)
    assert answer.status_code == status
    if status == 403:
        assert_error(answer, 403, "Origin")


async def test_two_origins_are_none(api: Api) -> None:
    key = await narrowed(api, origins=[SHOP])
    answer = await api.http.post(
        "/api/v1/events",
        json={"event": "user.signup", "payload": SAMPLE},
        headers=[
            ("X-Meshes-Publishable-Key", key.public_key),
            ("Origin", SHOP),
            ("Origin", "https://evil.example"),
        ],
    )
    assert_error(answer, 403, "Origin")


@pytest.mark.parametrize(
    "rights",
    [
        {"events": []},
        {"events": [" "]},
        {"events": ["e"] * 101},
        {"origins": []},
        {"origins": ["*"]},
        {"origins": ["shop.example.com"]},
        {"origins": ["https://*.example.com"]},
        {"origins": [f"{SHOP}/shop"]},
        {"origins": ["https://me@shop.example.com"]},
        {"origins": ["https://shop.example.com:99999"]},
        {"origins": ["ftp://shop.example.com"]},
        {"origins": ["https://[::1"]},
        {"identify": "nobody"},
    ],
)
async def test_rights_that_mean_nothing_are_refused(api: Api, rights: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        await narrowed(api, **rights)
    [key] = await api.stack.catalog.publishable_keys.list(api.stack.organization)
    answer = await api.call("PUT", f"/publishable-keys/{key.id}/rights", rights)
    assert_error(answer, 400)


async def test_narrowed_key_is_narrow_at_once_and_what_replaces_it_too(api: Api) -> None:
    [key] = await api.stack.catalog.publishable_keys.list(api.stack.organization)
    assert (await api.emit()).status_code == 201
    path = f"/publishable-keys/{key.id}/rights"
    answer = await api.call("PUT", path, {"events": ["page.viewed"]})
    assert answer.json()["events"] == ["page.viewed"]
    assert_error(await api.emit(), 403, "event")
    answer = await api.post(
        f"/workspaces/{api.stack.workspace}/publishable-keys", {"name": "New", "replaces": key.id}
    )
    made = answer.json()["publishable_key"]
    assert made["events"] == ["page.viewed"]
    assert_error(await api.emit(X_Meshes_Publishable_Key=made["public_key"]), 403, "event")
    assert (await api.call("PUT", path, {})).status_code == 200
    assert (await api.emit()).status_code == 201


async def test_nothing_is_narrowed_while_an_older_worker_would_not_heed_it(api: Api) -> None:
    catalog = api.stack.catalog
    async with catalog.pool.acquire() as conn:
        await conn.execute(
            "INSERT INTO workers (id, seen_at, counted) "
            "VALUES (gen_random_uuid(), clock_timestamp(), 1)"
        )
    with pytest.raises(OlderRelease, match="workers of an older release"):
        await narrowed(api, identify="anonymous")
    with pytest.raises(OlderRelease, match="workers of an older release"):
        await api.stack.rule(accept="backend")
    rule = await api.stack.rule()
    metadata = {"metadata": {"action": "track_event", "accept": "backend"}}
    assert_error(await api.call("PATCH", f"/rules/{rule.id}", metadata), 409)
    assert len(await catalog.publishable_keys.list(api.stack.organization)) == 1
    async with catalog.pool.acquire() as conn:
        await conn.execute("DELETE FROM workers WHERE knows IS NULL")
    await narrowed(api, identify="anonymous")
    assert (await api.call("PATCH", f"/rules/{rule.id}", metadata)).status_code == 200


async def test_nothing_is_narrowed_while_an_older_api_may_run(api: Api) -> None:
    async with api.stack.catalog.pool.acquire() as conn:
        await conn.execute(
            "INSERT INTO older_api VALUES (clock_timestamp() + interval '59 minutes')"
        )
    with pytest.raises(OlderRelease, match="API processes of an older release"):
        await narrowed(api, origins=[SHOP])
    async with api.stack.catalog.pool.acquire() as conn:
        await conn.execute("UPDATE older_api SET runs_until = clock_timestamp()")
    await narrowed(api, origins=[SHOP])
