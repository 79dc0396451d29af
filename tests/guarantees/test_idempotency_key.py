"""One idempotency key stands for one event, however often and at once it is emitted."""

from __future__ import annotations

import asyncio

import pytest

from emitonce import EmitError, Emitter, IdempotencyConflict
from tests.integration.stack import SAMPLE, Stack

KEY = "order-1042:test@example.com"


async def test_same_key_and_body_is_the_same_event(stack: Stack) -> None:
    await stack.rule()
    handles = await asyncio.gather(*(stack.emit(idempotency_key=KEY) for _ in range(5)))
    assert len({handle.id for handle in handles}) == 1
    await handles[0].result()
    assert (await stack.emit(idempotency_key=KEY)).id == handles[0].id
    assert len(stack.sim.events) == 1
    assert len(stack.calls()) == 2


async def test_same_key_with_another_body_is_refused(stack: Stack) -> None:
    await stack.rule()
    first = await stack.emit(idempotency_key=KEY)
    for change in ({"payload": {**SAMPLE, "plan": "free"}}, {"event": "user.updated"}):
        with pytest.raises(IdempotencyConflict) as conflict:
            await stack.emit(idempotency_key=KEY, **change)
        assert first.id in str(conflict.value)
        assert KEY not in str(conflict.value)
    await first.result()
    with pytest.raises(IdempotencyConflict):
        await stack.emit(payload={}, idempotency_key=KEY)
    assert len(stack.sim.events) == 1


async def test_the_same_key_in_another_workspace_is_another_event(stack: Stack) -> None:
    other = await stack.catalog.workspaces.create(stack.organization, name="Other app")
    here = await stack.emit(idempotency_key=KEY)
    there = await stack.emitter.emit("user.signup", SAMPLE, workspace=other.id, idempotency_key=KEY)
    assert here.id != there.id


async def test_without_a_key_each_is_its_own(stack: Stack) -> None:
    await stack.rule()
    handles = [await stack.emit(), await stack.emit()]
    assert handles[0].id != handles[1].id
    await asyncio.gather(*(handle.result() for handle in handles))
    assert len(stack.sim.events) == 2


async def test_a_key_needs_the_instance_s_secret(stack: Stack) -> None:
    emitter = Emitter(stack.client, task_queue=stack.task_queue)
    with pytest.raises(EmitError, match="EMITONCE_INSTANCE_SECRET"):
        await emitter.emit("user.signup", SAMPLE, workspace=stack.workspace, idempotency_key=KEY)
