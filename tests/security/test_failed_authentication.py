"""Guessing keys is slowed down per address; those who have a right one don't notice."""

from __future__ import annotations

from tests.api.caller import Api, Machine, open_api
from tests.integration.stack import Stack


async def statuses(api: Api, machine: Machine, times: int) -> list[int]:
    answers = [await api.call("GET", "/workspaces", machine=machine) for _ in range(times)]
    for answer in answers:
        if answer.status_code == 429:
            assert 1 <= int(answer.headers["retry-after"]) <= 60
            assert machine.access_key not in answer.text
    return [answer.status_code for answer in answers]


async def test_an_address_that_shows_wrong_keys_is_refused_unheard(stack: Stack) -> None:
    async with open_api(stack) as api:
        assert (await api.get("/workspaces")).status_code == 200
        guessed = Machine(stack.organization, "mk_" + "a" * 24, "guessed" * 6)
        heard = await statuses(api, guessed, 25)
        assert heard[:20] == [401] * 20
        assert 429 in heard[20:]
        guess = "mesh_pub_aaaaaaaa_aaaaaaaa_" + "a" * 32
        assert (await api.emit(X_Meshes_Publishable_Key=guess)).status_code == 429
        # From the same address, with a key that was right before.
        assert (await api.get("/workspaces")).status_code == 200


async def test_a_revoked_key_is_refused_at_once(stack: Stack) -> None:
    async with open_api(stack) as api:
        made = await stack.catalog.machine_keys.create(
            stack.organization, name="ci", created_by="test"
        )
        machine = Machine(
            stack.organization, made.key.access_key, made.secret_key.get_secret_value()
        )
        assert await statuses(api, machine, 1) == [200]
        await stack.catalog.machine_keys.revoke(stack.organization, made.key.id)
        assert await statuses(api, machine, 1) == [401]
