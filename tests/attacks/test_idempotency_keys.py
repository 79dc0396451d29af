"""A page's public key neither blocks nor finds out what a backend sends under its keys."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from catalog.errors import NotFound
from tests.api.caller import Api, assert_error
from tests.conftest import on_server
from tests.integration.stack import SAMPLE

KEY = "order-1000"
REAL: dict[str, Any] = {"event": "order.paid", "payload": {**SAMPLE, "total": 4200}}
JUNK: dict[str, Any] = {"event": "order.paid", "payload": {"userId": "nobody"}}


async def from_backend(api: Api, body: Any = REAL, path: str = "/events") -> httpx.Response:
    named = [{**one, "workspace": api.stack.workspace} for one in _each(body)]
    sent = named if isinstance(body, list) else named[0]
    return await api.call("POST", path, sent, headers={"Idempotency-Key": KEY})


def _each(body: Any) -> list[dict[str, Any]]:
    return body if isinstance(body, list) else [body]


async def other_page_key(api: Api, **fields: Any) -> str:
    made = await api.stack.catalog.publishable_keys.create(
        api.stack.organization,
        workspace=api.stack.workspace,
        name="Another page",
        created_by="test",
        **fields,
    )
    return made.public_key


async def older_api_until(api: Api, when: str) -> None:
    """As after an upgrade: API processes of the older release were running until `when`."""
    await on_server(
        api.stack.database,
        f"INSERT INTO older_api SELECT clock_timestamp() + interval '{when}'",
    )


@pytest_asyncio.fixture(autouse=True)
async def no_older_api_after(api: Api) -> AsyncIterator[None]:
    """The module's database is the next test's too."""
    yield
    await on_server(api.stack.database, "DELETE FROM older_api")


async def as_older_api(api: Api, key: str = KEY, **fields: Any) -> str:
    """Start an event as an API process of the older release does; its id."""
    [page] = await api.stack.catalog.publishable_keys.list(api.stack.organization)
    fields = {"created_by": page.id, **REAL, **fields}
    return (await api.stack.emit(idempotency_key=key, **fields)).id


async def test_page_cannot_block_the_key_of_a_backend(api: Api) -> None:
    assert (await api.emit(JUNK, Idempotency_Key=KEY)).status_code == 201
    answer = await from_backend(api)
    assert answer.status_code == 201, answer.text


async def test_page_cannot_block_the_batch_of_a_backend(api: Api) -> None:
    junk = await api.emit([JUNK], path="/events/bulk", Idempotency_Key=KEY)
    assert junk.status_code == 201
    answer = await from_backend(api, [REAL, REAL], "/events/bulk")
    assert answer.status_code == 201, answer.text


async def test_guesses_at_what_a_backend_sent_look_alike(api: Api) -> None:
    real = (await from_backend(api)).json()["event"]
    for batch in (False, True):
        for body in (REAL, JUNK):
            guess = await api.emit(
                [body] if batch else body,
                path="/events/bulk" if batch else "/events",
                Idempotency_Key=KEY if body is REAL else f"{KEY} again",
            )
            assert guess.status_code == 201
            assert real["id"] not in guess.text


async def test_conflict_tells_a_page_no_id_and_a_machine_does_hear_it(api: Api) -> None:
    own = await api.emitted(JUNK, Idempotency_Key=KEY)
    answer = await api.emit(REAL, Idempotency_Key=KEY)
    assert_error(answer, 409, "Idempotency-Key")
    assert own["id"] not in answer.text
    real = (await from_backend(api)).json()["event"]
    answer = await from_backend(api, JUNK)
    assert_error(answer, 409, "Idempotency-Key")
    assert real["id"] in answer.text


async def test_keys_of_two_pages_do_not_meet(api: Api) -> None:
    other = await other_page_key(api)
    first = await api.emitted(REAL, Idempotency_Key=KEY)
    second = await api.emitted(JUNK, Idempotency_Key=KEY, X_Meshes_Publishable_Key=other)
    assert first["id"] != second["id"]


async def test_retry_with_the_key_that_replaced_the_first_is_the_same_event(api: Api) -> None:
    [page] = await api.stack.catalog.publishable_keys.list(api.stack.organization)
    first = await api.emitted(REAL, Idempotency_Key=KEY)
    replacement = await other_page_key(api, replaces=page.id)
    await api.stack.catalog.publishable_keys.revoke(api.stack.organization, page.id)
    again = await api.emitted(REAL, Idempotency_Key=KEY, X_Meshes_Publishable_Key=replacement)
    assert again["id"] == first["id"]


async def test_key_of_another_workspace_cannot_be_replaced(api: Api) -> None:
    other = await api.stack.catalog.workspaces.create(api.stack.organization, name="Other")
    key = await api.stack.catalog.publishable_keys.current(api.stack.organization, other.id)
    assert key is not None
    with pytest.raises(NotFound):
        await other_page_key(api, replaces=key.id)


async def test_backend_and_temporal_clients_keep_the_ids_that_their_keys_had(api: Api) -> None:
    handle = await api.stack.emit(idempotency_key=KEY, **REAL)
    assert (await from_backend(api)).json()["event"]["id"] == handle.id


async def test_retry_after_an_upgrade_makes_no_second_event(api: Api) -> None:
    before = await as_older_api(api)
    await older_api_until(api, "-1 day")
    assert (await api.emitted(REAL, Idempotency_Key=KEY))["id"] == before
    [page] = await api.stack.catalog.publishable_keys.list(api.stack.organization)
    replacement = await other_page_key(api, replaces=page.id)
    again = await api.emitted(REAL, Idempotency_Key=KEY, X_Meshes_Publishable_Key=replacement)
    assert again["id"] == before
    answer = await api.emit(JUNK, Idempotency_Key=KEY)
    assert_error(answer, 409, "Idempotency-Key")
    assert before not in answer.text


async def test_retry_of_a_batch_after_an_upgrade_makes_no_second_event(api: Api) -> None:
    batch = [REAL, JUNK]
    content = json.dumps(batch, ensure_ascii=False, separators=(",", ":")).encode()
    before = [
        await as_older_api(api, f"\0batch\0{index}\0{KEY}", batch=content, **one)
        for index, one in enumerate(batch)
    ]
    await older_api_until(api, "-1 day")
    answer = await api.emit(batch, path="/events/bulk", Idempotency_Key=KEY)
    assert [one["id"] for one in answer.json()["records"]] == before


async def test_what_others_started_before_an_upgrade_is_in_the_way_of_no_page(api: Api) -> None:
    backend = (await from_backend(api)).json()["event"]["id"]
    await older_api_until(api, "-1 day")
    for body in (REAL, JUNK):
        answer = await api.emit(body, Idempotency_Key=KEY)
        assert backend not in answer.text
        assert answer.status_code == (201 if body is REAL else 409)


async def test_beside_an_older_api_a_retry_is_the_same_event_on_either(api: Api) -> None:
    await older_api_until(api, "1 hour")
    first = await api.emitted(REAL, Idempotency_Key=KEY)
    assert await as_older_api(api) == first["id"]
    machine = await from_backend(api, {**REAL, "payload": {"userId": "backend"}})
    assert_error(machine, 409, "Idempotency-Key")


async def test_beside_an_older_api_guesses_look_alike(api: Api) -> None:
    await older_api_until(api, "1 hour")
    real = (await from_backend(api)).json()["event"]
    right, wrong = await asyncio.gather(
        api.emit(REAL, Idempotency_Key=KEY), api.emit(JUNK, Idempotency_Key=KEY)
    )
    assert right.status_code == wrong.status_code == 409
    assert right.json() == wrong.json()
    assert real["id"] not in right.text
