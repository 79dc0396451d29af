"""Whoever guesses is slowed down; whoever has a right key notices nothing of it."""

from __future__ import annotations

import asyncio
from collections import Counter

import httpx
import pytest

from tests.api.caller import Api, Machine
from tests.console.site import Site, sign_in

WRONG = "mesh_pub_aaaaaaaa_aaaaaaaa_" + "a" * 32


async def guess(api: Api, *, from_address: str) -> int:
    answer = await api.emit(X_Meshes_Publishable_Key=WRONG, X_Forwarded_For=from_address)
    return answer.status_code


async def test_right_key_that_was_never_seen_is_let_through_among_wrong_ones(api: Api) -> None:
    for _ in range(25):
        await guess(api, from_address="192.0.2.1")
    assert await guess(api, from_address="192.0.2.1") == 429
    assert (await api.emit(X_Forwarded_For="192.0.2.1")).status_code == 201
    machine = await api.machine_key(api.stack.organization)
    answer = await api.call(
        "GET", "/workspaces", machine=machine, headers={"X-Forwarded-For": "192.0.2.1"}
    )
    assert answer.status_code == 200


async def test_wrong_keys_at_once_are_counted_one_by_one(api: Api) -> None:
    answers = await asyncio.gather(*(guess(api, from_address="192.0.2.2") for _ in range(150)))
    counted = Counter(answers)
    # A token comes back every three seconds while they are answered.
    assert counted[401] < 30
    assert counted[401] + counted[429] == 150


async def test_callers_behind_the_proxy_are_told_apart(api: Api) -> None:
    for _ in range(25):
        await guess(api, from_address="192.0.2.3")
    assert await guess(api, from_address="192.0.2.4") == 401


@pytest.mark.parametrize(
    "forwarded",
    [
        "203.0.113.{n}, 192.0.2.5",  # invented by the caller; the proxy added what it saw
        "192.0.2.5:{n}",
        "[::ffff:192.0.2.5]:{n}",
        "nonsense {n}, 192.0.2.5",
    ],
)
async def test_invented_addresses_are_not_believed(api: Api, forwarded: str) -> None:
    seen = [await guess(api, from_address=forwarded.format(n=n)) for n in range(25)]
    assert seen[-1] == 429


async def test_nobody_but_the_proxy_is_believed(stack) -> None:  # type: ignore[no-untyped-def]
    from tests.api.caller import open_api

    async with open_api(stack, serving={"trusted_proxies": "192.0.2.0/24"}) as api:
        seen = [await guess(api, from_address=f"203.0.113.{n}") for n in range(25)]
    assert seen[-1] == 429


async def test_right_secret_signs_in_among_wrong_ones(plain_site: Site) -> None:
    site = plain_site
    async with httpx.AsyncClient(base_url=site.url) as http:
        statuses = [
            (await sign_in(http, site.access_key, "wrong" * 9)).status_code for _ in range(25)
        ]
        assert statuses[0] == 401
        assert statuses[-1] == 429
        right = await sign_in(http, site.access_key, site.secret_key)
    assert right.status_code == 303


async def test_secret_of_one_key_cannot_be_guessed_from_many_addresses(plain_site: Site) -> None:
    site, statuses = plain_site, []
    async with httpx.AsyncClient(base_url=site.url) as http:
        for number in range(25):
            http.headers["X-Forwarded-For"] = f"192.0.2.{number}"
            statuses.append((await sign_in(http, site.access_key, "wrong" * 9)).status_code)
    assert statuses[-1] == 429


async def test_guessed_machine_tokens_are_slowed_down(api: Api) -> None:
    guessed = Machine(api.stack.organization, "mk_" + "a" * 24, "guessed" * 6)
    answers = [await api.call("GET", "/workspaces", machine=guessed) for _ in range(25)]
    assert answers[0].status_code == 401
    assert answers[-1].status_code == 429
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
