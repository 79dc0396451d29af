"""Code that emits with one emitter emits with any: the same arguments, errors and return type."""

from __future__ import annotations

import asyncio
import inspect
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from emitonce import (
    AcceptedEvent,
    AsyncEmitter,
    AsyncHTTPEmitter,
    BlockingEmitter,
    EmitError,
    Emitter,
    HTTPEmitter,
    IdempotencyConflict,
    InvalidEvent,
    InvalidSetup,
    NewEvent,
    NotAccepted,
    SyncEmitter,
)
from emitonce.testing import AsyncFakeEmitter, FakeEmitter
from tests.api.caller import Api, tenant_of
from tests.integration.stack import SECRET

PERSON = {"userId": "usr_2048", "plan": "pro"}
BACKENDS = ("http_token", "temporal", "sync_temporal")
KINDS = ("http", "async_http", *BACKENDS)
FAKES = ("fake", "async_fake")

Call = Callable[..., Awaitable[Any]]


@pytest_asyncio.fixture
async def api(shared_api: Api) -> Api:
    return await tenant_of(shared_api)


@asynccontextmanager
async def opened(api: Api, kind: str) -> AsyncIterator[Call]:
    """`call(method, …)` of an emitter of this kind, on the same workspace."""
    stack = api.stack
    connect: dict[str, Any] = {
        "address": stack.client.service_client.config.target_host,
        "workspace": stack.workspace,
        "instance_secret": SECRET,
        "task_queue": stack.task_queue,
    }
    if kind in ("http", "http_token", "sync_temporal", "fake"):
        blocking: BlockingEmitter
        if kind == "http":
            blocking = HTTPEmitter(api.url, publishable_key=api.public_key)
        elif kind == "http_token":
            blocking = HTTPEmitter(api.url, token=api.machine.token, workspace=stack.workspace)
        elif kind == "fake":
            blocking = FakeEmitter(workspace=stack.workspace)
        else:
            blocking = SyncEmitter(**connect)
        with blocking:
            yield lambda method, *given, **fields: asyncio.to_thread(
                getattr(blocking, method), *given, **fields
            )
    else:
        on_a_loop: AsyncEmitter
        if kind == "async_http":
            on_a_loop = AsyncHTTPEmitter(api.url, publishable_key=api.public_key)
        elif kind == "async_fake":
            on_a_loop = AsyncFakeEmitter(workspace=stack.workspace)
        else:
            on_a_loop = await Emitter.connect(**connect)
        async with on_a_loop:
            yield lambda method, *given, **fields: getattr(on_a_loop, method)(*given, **fields)


@pytest.mark.parametrize("kind", KINDS + FAKES)
async def test_an_event_is_emitted_and_delivered(api: Api, kind: str) -> None:
    await api.stack.rule()
    async with opened(api, kind) as call:
        event = await call("emit", "user.signup", PERSON, resource_id="r1", idempotency_key="k")
        again = await call("emit", "user.signup", PERSON, resource_id="r1", idempotency_key="k")
        with pytest.raises(IdempotencyConflict):
            await call("emit", "user.signup", {"userId": "another"}, idempotency_key="k")
    assert isinstance(event, AcceptedEvent)
    assert (event.event, event.workspace) == ("user.signup", api.stack.workspace)
    assert str(event) == event.id == again.id
    assert event.created_at == again.created_at
    if kind not in FAKES:
        assert (await api.ended(event.id))["status"] == "completed"


@pytest.mark.parametrize("kinds", [BACKENDS, ("http", "async_http")], ids=["backend", "page"])
async def test_the_same_key_is_the_same_event_whichever_way_it_comes(
    api: Api, kinds: tuple[str, ...]
) -> None:
    """A publishable key's idempotency keys are its own, so that a page can't use a backend's."""
    ids = set()
    for kind in kinds:
        async with opened(api, kind) as call:
            fields = {"workspace": api.stack.workspace, "idempotency_key": "order-1042"}
            ids.add((await call("emit", "user.signup", PERSON, **fields)).id)
    assert len(ids) == 1


@pytest.mark.parametrize("kind", KINDS + FAKES)
async def test_many_are_emitted_at_once_each_by_itself(api: Api, kind: str) -> None:
    events = [
        NewEvent("user.signup", {"userId": f"u{n}"}, idempotency_key=f"k{n}") for n in range(25)
    ]
    events[3] = NewEvent("", {"userId": "u3"})
    events[7] = NewEvent("user.signup", {"at": object()})
    async with opened(api, kind) as call:
        first = await call("emit_many", events)
        again = await call("emit_many", iter(events))
        assert await call("emit_many", []) == []
    refused = [n for n, result in enumerate(first) if isinstance(result, EmitError)]
    assert refused == [3, 7]
    assert all(isinstance(first[n], InvalidEvent) for n in refused)
    ids = [result.id for result in first if isinstance(result, AcceptedEvent)]
    assert len(set(ids)) == 23
    assert [result.id for result in again if isinstance(result, AcceptedEvent)] == ids


async def test_many_stop_at_what_will_meet_them_all(api: Api) -> None:
    tried: list[int] = []

    def token() -> str:
        tried.append(1)
        return "not-a-token"

    events = [NewEvent("user.signup", PERSON, workspace=api.stack.workspace)] * 100
    with HTTPEmitter(api.url, token=token) as emitter:
        results = await asyncio.to_thread(emitter.emit_many, events)
    assert len(results) == 100
    assert all(isinstance(result, InvalidSetup) for result in results)
    assert len(tried) < 50
    async with AsyncHTTPEmitter("http://127.0.0.1:9", publishable_key="x", tries=1) as nowhere:
        results = await nowhere.emit_many(events)
    assert all(isinstance(result, NotAccepted) for result in results)
    assert len({id(result) for result in results}) < 50


@pytest.mark.parametrize(
    "emitter",
    [HTTPEmitter, AsyncHTTPEmitter, Emitter, SyncEmitter, FakeEmitter, AsyncFakeEmitter],
)
def test_they_take_the_same_arguments_and_none_of_the_server_s_own(emitter: type[Any]) -> None:
    blocking = emitter in (HTTPEmitter, SyncEmitter, FakeEmitter)
    protocol: type[Any] = BlockingEmitter if blocking else AsyncEmitter
    for name in ("emit", "emit_many"):
        ours = inspect.signature(getattr(emitter, name)).parameters.values()
        theirs = inspect.signature(getattr(protocol, name)).parameters.values()
        assert list(ours) == list(theirs)
        assert inspect.iscoroutinefunction(inspect.unwrap(getattr(emitter, name))) != blocking


@pytest.mark.parametrize("kind", ["temporal", "sync_temporal"])
async def test_the_order_of_0_1_goes_on_working(api: Api, kind: str) -> None:
    workspace = api.stack.workspace
    async with opened(api, kind) as call:
        with pytest.warns(DeprecationWarning, match="workspace="):
            event = await call("emit", workspace, "user.signup", PERSON)
        with pytest.warns(DeprecationWarning, match="workspace="):
            await call("emit", workspace, event="user.signup", payload=PERSON)
        named = await call("emit", workspace=workspace, event="user.signup", payload=PERSON)
        with pytest.raises(TypeError):
            await call("emit", workspace, "user.signup", PERSON, workspace=workspace)
    assert event.workspace == named.workspace == workspace


@pytest.mark.parametrize("kind", KINDS)
async def test_an_event_of_another_workspace_names_it(api: Api, kind: str) -> None:
    other = str(uuid.uuid4())
    async with opened(api, kind) as call:
        if "http" in kind:  # the key stands for one workspace
            with pytest.raises(InvalidSetup, match="workspace"):
                await call("emit", "user.signup", PERSON, workspace=other)
        else:
            assert (await call("emit", "user.signup", PERSON, workspace=other)).workspace == other


async def test_an_emitter_s_own_workspace_is_its_set_up(api: Api) -> None:
    address = api.stack.client.service_client.config.target_host
    with pytest.raises(InvalidSetup, match="workspace: must be a UUID"):
        await Emitter.connect(address, workspace="acme")
    with pytest.raises(InvalidSetup, match="workspace: must be a UUID"):
        HTTPEmitter(api.url, token=api.machine.token, workspace="acme")
    async with await Emitter.connect(address) as emitter:
        with pytest.raises(InvalidSetup, match="a workspace is missing"):
            await emitter.emit("user.signup", PERSON)
    with HTTPEmitter(api.url, token=api.machine.token, workspace=api.stack.workspace) as emitter:
        event = await asyncio.to_thread(emitter.emit, "user.signup", PERSON)
    assert event.workspace == api.stack.workspace
