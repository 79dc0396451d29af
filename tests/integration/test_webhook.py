"""An event on its way to a tenant's receiver: signed, once for whoever drops repetitions, and held
while the receiver is gone.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from standardwebhooks import Webhook
from temporalio.client import Client, WorkflowExecutionStatus
from typer.testing import CliRunner

from catalog.connections import Connection
from catalog.rules import Rule
from delivery.result import Status
from delivery.selection import Mode, select
from destinations.simulator.fault import Fault
from destinations.webhook.fields import FIELDS
from emitonce import EventHandle
from eventlog.fetch import read_event_log
from operations.event_redelivery import redeliver
from operations.send_again import send_again
from operations.steering import resume_connection
from starter.api import served
from starter.cli.connections import connections
from starter.cli.errors import CommandFailed
from starter.dev.temporal_server import free_port
from tests.api.caller import assert_error, dependencies_of, open_api
from tests.console.site import open_site, sign_in, token_in
from tests.contract.test_webhook_client import FIRST
from tests.contract.webhook_receiver import Receiver, open_receiver
from tests.integration.stack import SAMPLE, SECRET, Stack, eventually, is_held, open_stack


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with open_receiver() as opened:
        yield opened


@pytest_asyncio.fixture
async def stack(temporal: Client, database: str, receiver: Receiver) -> AsyncIterator[Stack]:
    host, port = receiver.host
    async with open_stack(temporal, database, allowed_private_hosts=f"{host}:{port}") as opened:
        yield opened


async def webhook(stack: Stack, url: str, fields: Mapping[str, str] = {}) -> Connection:
    return await stack.connect("webhook", **{"url": url, "signing_secret": FIRST, **fields})


async def rule(stack: Stack, connection: Connection) -> Rule:
    return await stack.rule(connection, action="send_webhook")


async def test_an_event_is_delivered_and_its_log_shows_the_message(
    stack: Stack, receiver: Receiver
) -> None:
    made = await rule(stack, await webhook(stack, receiver.url))
    log = await stack.ended(await stack.emit())
    [request] = receiver.requests
    body = Webhook(FIRST).verify(request.content, request.headers)
    assert body["payload"] == SAMPLE
    assert (body["uuid"], body["rule"]) == (log.event_id, made.id)
    [delivery] = log.deliveries
    assert delivery.status is Status.COMPLETED
    assert (delivery.identify, delivery.track) == (None, None)
    assert delivery.send is not None
    assert delivery.send.request == body
    assert not stack.calls()


async def test_what_failed_on_the_way_is_sent_again_under_the_same_id(
    stack: Stack, receiver: Receiver
) -> None:
    receiver.fault = Fault(status=503)
    await rule(stack, await webhook(stack, receiver.url))
    handle = await stack.emit()
    await eventually(lambda: arrived(receiver, 1))
    receiver.fault = Fault(status=400)
    log = await stack.ended(handle)
    assert log.status is Status.FAILED

    receiver.fault = None
    await redeliver(stack.client, log.event_id)
    assert (await stack.ended(handle)).status is Status.COMPLETED
    ids = {request.headers["webhook-id"] for request in receiver.requests}
    assert len(ids) == 1
    assert len({request.content for request in receiver.requests}) == 1
    assert len(receiver.requests) == 3


async def test_however_it_is_delivered_again_an_event_keeps_its_count_of_webhooks(
    stack: Stack, receiver: Receiver
) -> None:
    """Without it a webhook that leads back here could go round without end."""
    receiver.fault = Fault(status=400)
    await rule(stack, await webhook(stack, receiver.url))
    handle = await stack.emit(hops=2)
    log = await stack.ended(handle)
    receiver.fault = None
    await redeliver(stack.client, log.event_id)
    assert (await stack.ended(handle)).status is Status.COMPLETED
    again = select(
        stack.workspace,
        accepted_from=log.accepted_at,
        now=datetime.now(UTC),
        mode=Mode.AGAIN,
    )
    new = EventHandle(stack.client, await send_again(stack.client, log.event_id, again))
    assert (await stack.ended(new)).status is Status.COMPLETED
    assert [request.headers["x-emitonce-hops"] for request in receiver.requests] == ["3"] * 3


async def arrived(receiver: Receiver, count: int) -> bool:
    return len(receiver.requests) >= count


async def test_a_receiver_that_is_gone_gets_what_waited_once_it_is_resumed(
    stack: Stack, receiver: Receiver
) -> None:
    receiver.fault = Fault(status=410)
    connection = await webhook(stack, receiver.url)
    await rule(stack, connection)
    handles = [await stack.emit()]
    await stack.log_when(handles[0], is_held)
    stored = await stack.catalog.connections.get(stack.organization, connection.id)
    assert (stored.status, stored.inactive_reason) == ("inactive", "manually_inactivated")

    handles.append(await stack.emit())
    await stack.log_when(handles[1], is_held)
    assert len(receiver.requests) == 1  # nothing is sent while it is inactive

    receiver.fault = None
    await stack.catalog.connections.resume(stack.organization, connection.id)
    await resume_connection(stack.client, connection.id, task_queue=stack.task_queue)
    for handle in handles:
        assert (await stack.ended(handle)).status is Status.COMPLETED
    assert len(receiver.requests) == 3


async def test_what_waits_for_a_connection_that_is_deleted_ends_without_a_request(
    stack: Stack, receiver: Receiver
) -> None:
    connection = await webhook(stack, receiver.url)
    await rule(stack, connection)
    await stack.catalog.connections.pause(stack.organization, connection.id)
    handle = await stack.emit()
    await stack.log_when(handle, is_held)
    await stack.catalog.connections.delete(stack.organization, connection.id, force=True)
    await resume_connection(stack.client, connection.id, task_queue=stack.task_queue)
    log = await stack.ended(handle)
    assert log.status is Status.FAILED
    assert "deleted" in str(log.deliveries[0].last_error)
    assert not receiver.requests


async def test_a_private_receiver_that_nobody_has_allowed_gets_nothing(
    temporal: Client, database: str, receiver: Receiver
) -> None:
    async with open_stack(temporal, database) as stack:
        await rule(stack, await webhook(stack, receiver.url.replace("http:", "https:")))
        handle = await stack.emit(test=True)
        log = await stack.ended(handle)
        [delivery] = log.deliveries
        assert "no public address is known of" in str(delivery.last_error)
    assert not receiver.connections


async def test_nothing_that_is_entered_as_a_secret_is_on_record(
    stack: Stack, receiver: Receiver
) -> None:
    secrets = {
        "auth_scheme": "basic",
        "auth_username": "usr",
        "auth_password": "never-to-be-seen",
        "hmac_secret": "never-to-be-seen-either",
    }
    receiver.fault = Fault(status=400, body=" ".join(secrets.values()))
    connection = await webhook(stack, receiver.url, secrets)
    await rule(stack, connection)
    handle = await stack.emit()
    log = await stack.ended(handle)
    history = await stack.client.get_workflow_handle(handle.id).fetch_history()
    stored = await stack.catalog.connections.get(stack.organization, connection.id)
    for text in (repr(stored), log.model_dump_json(), history.to_json()):
        for secret in ("never-to-be-seen", FIRST):
            assert secret not in text
    assert {field.key for field in FIELDS if field.secret}.isdisjoint(stored.settings)


async def test_the_api_lists_its_attempts(stack: Stack, receiver: Receiver) -> None:
    made_rule = await rule(stack, await webhook(stack, receiver.url))
    handle = await stack.emit()
    await handle.result()
    async with open_api(stack) as api:
        answer = await api.get(f"/events/{handle.id}/rules/{made_rule.id}/attempts")
    assert answer.status_code == 200
    assert [one["call"] for one in answer.json()["records"]] == ["send"]


@pytest.mark.parametrize("mode", ["wrapped", "raw"])
async def test_a_webhook_into_our_own_api_does_not_circle(
    temporal: Client, database: str, mode: str
) -> None:
    port = free_port()
    async with (
        open_stack(temporal, database, allowed_private_hosts=f"127.0.0.1:{port}") as stack,
        served(dependencies_of(stack), host="127.0.0.1", port=port) as url,
    ):
        key = await stack.catalog.publishable_keys.current(stack.organization, stack.workspace)
        assert key is not None
        fields = {
            "auth_scheme": "header",
            "auth_header_name": "X-Meshes-Publishable-Key",
            "auth_header_value": key.public_key,
            "payload_mode": mode,
        }
        await rule(stack, await webhook(stack, f"{url}/api/v1/events", fields))
        payload: dict[str, Any] = dict(SAMPLE)
        for _ in range(10):  # raw: each event is what the one before had as its payload
            payload = {"event": "user.signup", "payload": payload}
        await stack.emit(payload=payload)
        await stack.listed(4)
        mine = f"EmitonceWorkspace = '{stack.workspace}'"

        async def ended() -> bool:
            running = f"{mine} AND ExecutionStatus = 'Running'"
            return (await stack.client.count_workflows(running)).count == 0

        await eventually(ended)
        found = [run async for run in stack.client.list_workflows(mine)]
        assert len(found) == 4
        [last] = [run for run in found if run.status is WorkflowExecutionStatus.FAILED]
        log = await read_event_log(stack.client, last.id)
        assert "400" in str(log.deliveries[0].last_error)


async def test_a_webhook_is_saved_when_a_test_message_is_accepted_or_skipped(
    stack: Stack, receiver: Receiver
) -> None:
    async with open_api(stack) as api:
        metadata = {"url": receiver.url, "signing_secret": FIRST}
        new = {
            "workspace": stack.workspace,
            "type": "webhook",
            "name": "Receiver",
            "metadata": metadata,
        }
        receiver.fault = Fault(status=404)
        refused = await api.post("/connections", new)
        assert_error(refused, 400, "metadata")
        assert "a test message was answered with 404" in refused.text
        assert (await api.get("/connections")).json()["count"] == 0

        receiver.fault = None
        made = await api.post("/connections", new)
        assert made.status_code == 201
        assert len(receiver.requests) == 2
        test = receiver.requests[-1]
        assert Webhook(FIRST).verify(test.content, test.headers)["event"] == "emitonce.test"

        at = f"/connections/{made.json()['connection']['id']}"
        receiver.fault = Fault(status=500)
        changed = {"name": "Receiver", "metadata": {"payload_mode": "raw"}}
        assert_error(await api.call("PUT", at, changed), 400, "metadata")
        test = receiver.requests[-1]  # with the stored secret
        assert Webhook(FIRST).verify(test.content, test.headers) == {"test": True}
        count = len(receiver.requests)
        assert (await api.call("PUT", at, changed | {"skip_test": True})).status_code == 200
        assert (await api.call("PUT", at, {"name": "Other", "metadata": {}})).status_code == 200
        assert len(receiver.requests) == count
        shown = (await api.get(at)).json()
        assert shown["metadata"]["payload_mode"] == "raw"
        assert FIRST not in str(shown)


async def test_the_console_tests_a_webhook_before_it_is_saved(
    stack: Stack, receiver: Receiver
) -> None:
    async with (
        open_site(stack) as site,
        httpx.AsyncClient(base_url=site.url, follow_redirects=True) as http,
    ):
        await sign_in(http, site.access_key, site.secret_key)
        base = f"/w/{stack.workspace}/connections"
        page = await http.get(f"{base}/new", params={"type": "webhook"})
        form = {
            "csrf": token_in(page),
            "type": "webhook",
            "name": "Receiver",
            "f.url": receiver.url,
            "f.signing_secret": FIRST,
        }
        receiver.fault = Fault(status=500)
        told = await http.post(base, data=form)
        assert told.status_code == 400
        assert "A test message was answered with 500" in told.text
        saved = await http.post(base, data=form | {"skip_test": "on"})
        assert "The connection is saved" in saved.text
        assert len(receiver.requests) == 1
        changed = {"csrf": token_in(saved), "name": "Receiver", "f.url": f"{receiver.url}/new"}
        told = await http.post(saved.url.path, data=changed)
        assert "A test message was answered with 500" in told.text
        receiver.fault = None
        assert "Saved." in (await http.post(saved.url.path, data=changed)).text
        assert [request.target for request in receiver.requests][1:] == ["/hooks/new"] * 2
        test = receiver.requests[-1]  # with the secret that is stored
        assert Webhook(FIRST).verify(test.content, test.headers)["event"] == "emitonce.test"


async def test_the_command_line_tests_a_webhook_before_it_is_saved(
    stack: Stack, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    host, port = receiver.host
    for name, value in {
        "EMITONCE_ALLOWED_PRIVATE_HOSTS": f"{host}:{port}",
        "EMITONCE_DATABASE_URL": stack.database,
        "EMITONCE_DATA_DIR": str(tmp_path),
        "EMITONCE_CREDENTIAL_KEYS": f"k1:{base64.b64encode(b'1' * 32).decode()}",
        "EMITONCE_INSTANCE_SECRET": base64.b64encode(SECRET).decode(),
    }.items():
        monkeypatch.setenv(name, value)

    async def create(*more: str) -> Any:
        command = ["create", "--workspace", stack.workspace, "--name", "Receiver", *more]
        command += ["--type", "webhook", "--set", f"url={receiver.url}"]
        return await asyncio.to_thread(CliRunner().invoke, connections, command)

    receiver.fault = Fault(status=404)
    refused = await create()
    assert isinstance(refused.exception, CommandFailed)
    assert "answered with 404" in str(refused.exception)
    assert (await create("--skip-test")).exit_code == 0
    receiver.fault = None
    assert (await create()).exit_code == 0
    assert len(receiver.requests) == 2
