"""Processes of the API that serve `/mcp`: they share no state, and answer before they end."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from destinations.customerio.simulator import Fault
from tests.api.caller import Api
from tests.chaos.processes import Child
from tests.clients.assistant import ACCEPT, bearer, called, failed_event, over_http, token
from tests.integration.stack import SAMPLE, Stack, eventually
from tests.operations.processes import environment_of

pytestmark = pytest.mark.slow

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Balanced(httpx2.AsyncBaseTransport):
    """Sends each request to the next of several processes, as a load balancer does."""

    def __init__(self, urls: list[str]) -> None:
        self._ports = itertools.cycle([httpx2.URL(url).port for url in urls])
        self._sending = httpx2.AsyncHTTPTransport()
        self.sent = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.url = request.url.copy_with(port=next(self._ports))
        self.sent += 1
        return await self._sending.handle_async_request(request)


@asynccontextmanager
async def processes(stack: Stack, folder: Path, count: int) -> AsyncIterator[list[Child]]:
    """Run `count` processes of `emitonce api`, which log into `folder`."""
    settings = {"EMITONCE_MCP": "true", "EMITONCE_HTTP_PORT": "0", "EMITONCE_LOG_LEVEL": "debug"}

    async def started(number: int) -> Child:
        child = await Child.start(
            f"api-{number}",
            "starter.cli.main",
            "api",
            "--json",
            env=environment_of(stack) | settings,
            logs=folder,
        )
        ending.push_async_callback(child.terminate)
        return child

    async with AsyncExitStack() as ending:
        yield await asyncio.gather(*map(started, range(count)))


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `two_processes` log."""
    return tmp_path_factory.mktemp("logs")


@pytest_asyncio.fixture(scope="module")
async def two_processes(shared_stack: Stack, logs: Path) -> AsyncIterator[list[Child]]:
    async with processes(shared_stack, logs, 2) as running:
        yield running


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_two_processes_say_why_a_person_did_not_get_an_event(
    api: Api, two_processes: list[Child], logs: Path, mode: str
) -> None:
    """Did usr_2048 get user.signup, and if not, why? No process knows of an earlier request, and
    none logs who was asked about."""
    rule = await api.stack.rule()
    event = await failed_event(api)
    balanced = Balanced([child.ready["http"] for child in two_processes])
    files = [logs / f"{child.role}.log" for child in two_processes]
    before = [len(file.read_text()) for file in files]
    shown = await token(api, "read", "payload")
    async with over_http(api, shown, mode=mode, transport=balanced) as asks:
        found: list[dict[str, Any]] = []

        async def listed() -> bool:
            asked = {"person": "usr_2048", "event": "user.signup"}
            found[:] = json.loads(await asks.ask("find_events", **asked))["events"]
            return len(found) == 1

        await eventually(listed)
        why = await asks.ask("explain_event", event_id=found[0]["id"])
        for email in (SAMPLE["email"], "x" * 3_000):
            for tool in ("find_events", "invented_for_someone"):  # in each process
                await asks.tried(tool, person=email)
                await asks.tried(tool, person=email)
    assert found[0]["id"] == event["id"]
    attempts = await api.get(f"/events/{event['id']}/rules/{rule.id}/attempts")
    [attempt] = attempts.json()["records"]
    expected = {event["id"], api.stack.workspace, rule.id, rule.connection, attempt["id"]}
    assert set(UUID.findall(why)) == expected
    assert "HTTP 400" in why
    said_by: list[str] = []

    async def written() -> bool:
        said_by[:] = [file.read_text()[known:] for file, known in zip(files, before, strict=True)]
        return sum(log.count('"route": "/mcp"') for log in said_by) == balanced.sent

    await eventually(written)
    for log in said_by:
        assert '"route": "/mcp"' in log
        assert '"route": "/events"' in log
        for said in ("usr_2048", SAMPLE["email"], "xxx", "for_someone", shown):
            assert said not in log


async def test_revoked_token_is_refused_by_each_process_at_the_next_call(
    api: Api, two_processes: list[Child]
) -> None:
    keys = api.stack.catalog.machine_keys
    made = await keys.create(
        api.stack.organization, name="t", created_by="test", scopes=["read"], as_token=True
    )
    headers = ACCEPT | bearer(made.secret_key.get_secret_value())

    async def status(child: Child) -> int:
        url = f"{child.ready['http']}/mcp"
        return (await api.http.post(url, content=called("status"), headers=headers)).status_code

    assert [await status(child) for child in two_processes] == [200, 200]
    await keys.revoke(api.stack.organization, made.key.id)

    async def refused() -> bool:
        return [await status(child) for child in two_processes] == [401, 401]

    await eventually(refused)


async def test_process_that_is_told_to_stop_answers_what_was_asked_and_ends(
    api: Api, tmp_path: Path
) -> None:
    connection = await api.stack.connection()
    headers = ACCEPT | bearer(await token(api, "read", "operate"))
    api.stack.sim.fail("*", fault=Fault(delay=1.0), times=1)
    async with processes(api.stack, tmp_path, 1) as [child]:
        asking = asyncio.create_task(
            api.http.post(
                f"{child.ready['http']}/mcp",
                content=called("verify_connection", connection_id=connection.id),
                headers=headers,
            )
        )
        await api.stack.sim.until(lambda: len(api.stack.sim.requests) == 1)
        assert await child.terminate() == 0
        answer = await asking
    assert answer.status_code == 200
    assert '\\"verdict\\": \\"ok\\"' in answer.text
