"""Requests at once, where one after the other would be refused."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from catalog.quotas import Quota
from tests.attacks.production import Production
from tests.integration.stack import SAMPLE, eventually

EVENT = {"event": "order.paid", "payload": SAMPLE}
AT_ONCE = 40


async def new_key(attacked: Production) -> tuple[str, str]:
    made = await attacked.catalog.publishable_keys.create(
        attacked.organization, workspace=attacked.workspace, name="Page", created_by="test"
    )
    return made.id, made.public_key


async def test_one_idempotency_key_makes_one_event(
    attacked: Production, record_property: Callable[[str, Any], None]
) -> None:
    answers = await asyncio.gather(
        *(attacked.emit(EVENT, Idempotency_Key="race-1") for _ in range(AT_ONCE))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["event"]["id"] for answer in answers}) == 1
    record_property("requests", AT_ONCE)


async def test_one_idempotency_key_with_two_bodies_stores_one(attacked: Production) -> None:
    answers = await asyncio.gather(
        *(
            attacked.emit({**EVENT, "payload": {"userId": f"u{n % 2}"}}, Idempotency_Key="race-2")
            for n in range(AT_ONCE)
        )
    )
    counted = Counter(answer.status_code for answer in answers)
    assert set(counted) == {201, 409}
    accepted = [answer.json()["event"]["id"] for answer in answers if answer.status_code == 201]
    assert len(set(accepted)) == 1


async def test_quota_is_not_exceeded_by_asking_at_once(
    attacked: Production, record_property: Callable[[str, Any], None]
) -> None:
    id, key = await new_key(attacked)
    await attacked.catalog.quotas.set_of_key(attacked.organization, id, Quota(events=10))
    answers = await asyncio.gather(
        *(attacked.emit(EVENT, X_Meshes_Publishable_Key=key) for _ in range(AT_ONCE))
    )
    counted = Counter(answer.status_code for answer in answers)
    assert set(counted) == {201, 429}
    assert 10 <= counted[201] <= 15  # some come back meanwhile
    record_property("accepted", counted[201])
    record_property("refused", counted[429])


async def test_revoked_key_is_refused_for_good(attacked: Production) -> None:
    id, key = await new_key(attacked)
    assert (await attacked.emit(EVENT, X_Meshes_Publishable_Key=key)).status_code == 201
    await attacked.catalog.publishable_keys.revoke(attacked.organization, id)

    async def refused() -> bool:
        answer = await attacked.emit(EVENT, X_Meshes_Publishable_Key=key)
        return answer.status_code == 401

    await eventually(refused, within=5)
    answers = await asyncio.gather(
        *(attacked.emit(EVENT, X_Meshes_Publishable_Key=key) for _ in range(10))
    )
    assert {answer.status_code for answer in answers} <= {401, 429}
