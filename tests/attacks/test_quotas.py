"""Nobody takes more than their part: events and bytes a minute, of a key and of a workspace."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from starter.api.quotas import Quotas
from tests.api.caller import Api, assert_error, open_api
from tests.integration.stack import SAMPLE, Stack, eventually

QUOTAS = Quotas(key_events=20, key_bytes=20_000, workspace_events=40, workspace_bytes=40_000)
EVENT: dict[str, Any] = {"event": "page.viewed", "payload": SAMPLE}


@pytest_asyncio.fixture
async def api(stack: Stack) -> AsyncIterator[Api]:
    async with open_api(stack, quotas=QUOTAS) as api:
        yield api


async def from_backend(api: Api, body: Any = None, path: str = "/events") -> httpx.Response:
    workspace = {"workspace": api.stack.workspace}
    if isinstance(body, list):
        return await api.call("POST", path, [{**one, **workspace} for one in body])
    return await api.call("POST", path, {**(body or EVENT), **workspace})


async def flood(api: Api, requests: int = 60, **headers: str) -> list[httpx.Response]:
    return [await api.emit(EVENT, **headers) for _ in range(requests)]


def seconds(answer: httpx.Response) -> int:
    assert_error(answer, 429)
    wait = int(answer.headers["retry-after"])
    assert wait >= 1
    return wait


async def test_flood_of_a_page_is_refused_and_nothing_of_it_is_stored(api: Api) -> None:
    answers = await flood(api)
    counted = Counter(answer.status_code for answer in answers)
    assert set(counted) == {201, 429}
    assert 20 <= counted[201] < 40
    refused = answers[-1]
    wait = seconds(refused)
    assert refused.headers["ratelimit-policy"] == '"key-events";q=20;w=60'
    assert refused.headers["ratelimit"] == f'"key-events";r=0;t={wait}'
    await api.stack.listed(counted[201])
    stored = await api.get(f"/workspaces/{api.stack.workspace}/events", limit=100)
    assert stored.json()["count"] == counted[201]


async def test_flood_of_a_page_leaves_room_for_the_backend(api: Api) -> None:
    for number in range(3):
        made = await api.stack.catalog.publishable_keys.create(
            api.stack.organization,
            workspace=api.stack.workspace,
            name=f"Page {number}",
            created_by="test",
        )
        answers = await flood(api, X_Meshes_Publishable_Key=made.public_key)
        assert answers[-1].status_code == 429
    for _ in range(15):
        assert (await from_backend(api)).status_code == 201


async def test_flood_in_one_workspace_leaves_room_in_another(api: Api) -> None:
    await flood(api)
    other = await api.stack.catalog.workspaces.create(api.stack.organization, name="Other")
    key = await api.stack.catalog.publishable_keys.current(api.stack.organization, other.id)
    assert key is not None
    assert (await api.emit(EVENT, X_Meshes_Publishable_Key=key.public_key)).status_code == 201


async def test_a_batch_counts_its_events_and_is_stored_whole_or_not_at_all(api: Api) -> None:
    assert (await from_backend(api, [EVENT] * 15, "/events/bulk")).status_code == 201
    refused = await from_backend(api, [EVENT] * 15, "/events/bulk")
    seconds(refused)
    assert '"key-events"' in refused.headers["ratelimit"]
    await api.stack.listed(15)
    stored = await api.get(f"/workspaces/{api.stack.workspace}/events", limit=100)
    assert stored.json()["count"] == 15


async def test_bytes_count_even_when_they_are_no_event(api: Api) -> None:
    body = json.dumps("x" * 9_000).encode()
    answers = [await api.emit(body) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [400, 400, 429]
    assert answers[-1].headers["ratelimit-policy"] == '"key-bytes";q=20000;qu="content-bytes";w=60'


async def test_a_key_of_its_own_quota_has_that(api: Api) -> None:
    from catalog.quotas import Quota

    [page] = await api.stack.catalog.publishable_keys.list(api.stack.organization)
    await api.stack.catalog.quotas.set_of_key(api.stack.organization, page.id, Quota(events=2))
    answers = await flood(api, 4)
    assert [answer.status_code for answer in answers] == [201, 201, 429, 429]


async def test_backend_is_told_what_is_left_and_a_page_is_not(api: Api) -> None:
    answer = await from_backend(api)
    assert answer.headers["ratelimit-policy"] == (
        '"key-events";q=20;w=60, "key-bytes";q=20000;qu="content-bytes";w=60'
    )
    assert answer.headers["ratelimit"].startswith('"key-events";r=19, "key-bytes";r=')
    assert "ratelimit" not in (await api.emit(EVENT)).headers


@pytest.mark.parametrize("processes", [3])
async def test_a_quota_holds_over_all_processes(stack: Stack, processes: int) -> None:
    """Each connection at a process of its own, in turns; all have heard of each other."""
    async with (
        open_api(stack, quotas=QUOTAS) as first,
        open_api(stack, quotas=QUOTAS) as second,
        open_api(stack, quotas=QUOTAS) as third,
    ):
        apis = [first, second, third]

        async def known_to_each_other() -> bool:
            counted = await stack.catalog.pool.fetchval("SELECT count(*) FROM api_processes")
            return bool(counted == processes)

        await eventually(known_to_each_other)
        answers = Counter([(await apis[n % 3].emit(EVENT)).status_code for n in range(120)])
    # What comes back while this runs, and what each lets through before it has heard of the others.
    assert 15 <= answers[201] <= 45
