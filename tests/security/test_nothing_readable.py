"""Nobody who reads a database, a log, a list or an error learns a person's data or a credential.

Events with marked values are delivered, retried, held and refused by a worker that is a process of
its own. Then all that was left behind is searched; a control, with encryption off, shows that the
search finds what is there.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from temporalio.client import Client

from destinations.customerio.simulator import US_KEY, Fault
from emitonce.key_ring import KeyRing
from engine.connect import connect
from engine.search_attributes import register_search_attributes
from starter.dev.temporal_server import DevServer, free_port
from tests.api.caller import Api, open_api
from tests.conftest import psql
from tests.integration.stack import SECRET, Stack, is_held, open_stack, waits
from tests.operations.processes import ROOT, environment_of
from tests.security import markers
from tests.security.conftest import OLD_KEY


@dataclass
class Traces:
    """Everything that the run left behind, by where it lies."""

    temporal: bytes = b""
    temporal_log: bytes = b""
    postgres: bytes = b""
    worker_log: bytes = b""
    listed: bytes = b""
    errors: list[bytes] = field(default_factory=list)
    metrics: bytes = b""
    simulator: bytes = b""


async def leave_traces(tmp_path: Path, database: str, *, encrypted: bool) -> Traces:
    server = await DevServer.start(tmp_path, ui=False)
    try:
        client = await connect(server.address, keys=KeyRing(OLD_KEY, encrypts=encrypted))
        await register_search_attributes(client)
        async with open_stack(client, database, working=False) as stack:
            traces = await _run(stack, server.address, encrypted=encrypted)
            traces.listed = await _lists(client)
            traces.postgres = await _dump(database)
            traces.simulator = b"".join(request.raw for request in stack.sim.requests)
    finally:
        await server.stop()  # folds its write-ahead log into the file
    traces.temporal, traces.temporal_log = _files(tmp_path), server.log.read_bytes()
    return traces


def _files(data_dir: Path) -> bytes:
    return b"".join(path.read_bytes() for path in data_dir.glob("temporal.db*"))


async def _run(stack: Stack, address: str, *, encrypted: bool) -> Traces:
    traces, metrics = Traces(), f"127.0.0.1:{free_port()}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "starter.cli.main", "worker"),
        cwd=ROOT,
        env=_environment(stack, address, encrypted=encrypted)
        | {"EMITONCE_METRICS_ADDRESS": metrics},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with open_api(stack) as api:
            await _deliver_all_kinds(stack, api, traces)
            traces.metrics = (await api.http.get(f"http://{metrics}/metrics")).content
    finally:
        process.terminate()
        traces.worker_log, _ = await process.communicate()
    assert process.returncode == 0, traces.worker_log.decode()
    return traces


async def _deliver_all_kinds(stack: Stack, api: Api, traces: Traces) -> None:
    right = await stack.connection("Right key")
    wrong = await stack.connection("Wrong key", api_key=markers.API_KEY)
    for event in ("delivered", "retried", "refused", "named", "waiting", "huge"):
        await stack.rule(right, event)
    await stack.rule(wrong, "held")
    echoing = {"echo": True, "headers": {"X-Trace": markers.ANSWER_HEADER}}
    answer = {"headers": {"X-Trace": markers.ANSWER_HEADER}, "body": f"say {markers.EMAIL}"}

    async def emit(event: str) -> str:
        made = await api.emitted(
            {
                "event": event,
                "payload": markers.PAYLOAD,
                "resource": "account",
                "resource_id": markers.RESOURCE_ID,
            },
            Idempotency_Key=f"{markers.IDEMPOTENCY_KEY}/{event}",
        )
        return str(made["id"])

    await _ended(stack, await emit("delivered"))
    stack.sim.fail("identify", fault=Fault(status=503, **echoing), times=1)
    stack.sim.fail("track", fault=Fault(status=500, **answer), times=1)
    await _ended(stack, await emit("retried"))
    stack.sim.fail("identify", fault=Fault(status=400, **echoing), times=1)
    await _ended(stack, await emit("refused"))
    named = {"field": f"traits.{markers.KEY}", "reason": markers.USER_ID, "message": markers.EMAIL}
    refusal = json.dumps({"errors": [named]})
    stack.sim.fail("identify", fault=Fault(status=400, body=refusal), times=1)
    await _ended(stack, await emit("named"))
    await stack.log_when(stack.emitter.get(await emit("held")), is_held)
    stack.sim.fail(
        "identify", fault=Fault(status=429, headers={"Retry-After": "600"}, echo=True), times=1
    )
    await stack.log_when(stack.emitter.get(await emit("waiting")), waits)
    huge = {**markers.PAYLOAD, "userId": markers.USER_ID * 20}
    made = await api.emitted({"event": "huge", "payload": huge})
    await _ended(stack, str(made["id"]))
    await _ended(stack, await _foreign_garbage(stack))
    await _refused_requests(api, traces)


async def _ended(stack: Stack, event_id: str) -> None:
    await stack.ended(stack.emitter.get(event_id))


async def _foreign_garbage(stack: Stack) -> str:
    """A start that nobody checks: markers where names and ids belong."""
    handle = await stack.client.start_workflow(
        "DeliverEvent",
        {
            "workspace": stack.workspace,
            "event": f"signup {markers.EMAIL}",
            "resource": markers.EMAIL,
            "resource_id": markers.RESOURCE_ID * 20,
            "payload": markers.PAYLOAD,
            "timestamp": markers.TRAIT,
        },
        id=str(uuid.uuid4()),
        task_queue=stack.task_queue,
    )
    return handle.id


async def _refused_requests(api: Api, traces: Traces) -> None:
    bad = [
        {"event": markers.EMAIL, "payload": markers.PAYLOAD},
        {"event": "x", "payload": markers.PAYLOAD, "resource": markers.EMAIL},
        {"event": "x", "payload": markers.PAYLOAD, "resource_id": markers.RESOURCE_ID * 20},
        {"event": "x", "payload": markers.PAYLOAD, "timestamp": markers.TRAIT},
        {"event": "x", "payload": markers.TRAIT},
        {"event": 1, "payload": [markers.PAYLOAD]},
        f'{{"event": "x", "payload": {{"email": "{markers.EMAIL}"'.encode(),
    ]
    answers: list[httpx.Response] = [await api.emit(body) for body in bad]
    # The same idempotency key with another body.
    answers.append(
        await api.emit(
            {"event": "delivered", "payload": {"userId": markers.USER_ID}},
            Idempotency_Key=f"{markers.IDEMPOTENCY_KEY}/delivered",
        )
    )
    answers.append(await api.emit({"event": "x"}, X_Meshes_Publishable_Key=markers.API_KEY))
    answers.append(
        await api.call("GET", "/events", headers={"Authorization": f"Bearer {markers.API_KEY}"})
    )
    answers.append(await api.get("/events", resource_id=markers.RESOURCE_ID * 20))
    answers.append(await api.get("/events", cursor=markers.TRAIT))
    answers.append(
        await api.post(
            "/connections",
            {
                "workspace": api.stack.workspace,
                "type": "customer_io",
                "name": markers.EMAIL,
                "metadata": {"api_key": f"{markers.API_KEY} :", "region": markers.TRAIT},
            },
        )
    )
    for answer in answers:
        assert 400 <= answer.status_code < 500, answer.text
        traces.errors.append(answer.content + str(answer.headers).encode())


def _environment(stack: Stack, address: str, *, encrypted: bool) -> dict[str, str]:
    return environment_of(stack) | {
        "PYTHONPATH": str(ROOT),
        "TEMPORAL_ADDRESS": address,
        "EMITONCE_LOG_LEVEL": "debug",
        "EMITONCE_PAYLOAD_KEYS": f"k1:{base64.b64encode(OLD_KEY['k1']).decode()}",
        "EMITONCE_PAYLOAD_ENCRYPTION": str(encrypted).lower(),
    }


async def _lists(client: Client) -> bytes:
    """Search attributes, memos and ids of every run, as the server gives them to any client."""
    runs = [run async for run in client.list_workflows("")]
    assert len(runs) >= 7
    return b"".join(run.raw_info.SerializeToString() for run in runs)


async def _dump(database: str) -> bytes:
    """Every table as COPY writes it, which is what pg_dump has."""
    async with psql(database) as connection:
        out = io.BytesIO()
        for row in await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ):
            await connection.copy_from_table(row["tablename"], output=out)
        return out.getvalue()


def assert_nothing_beside_temporal(traces: Traces) -> None:
    """What holds whether or not payloads are encrypted."""
    assert markers.found_in(traces.temporal_log) == set()
    assert markers.found_in(traces.postgres) == set()
    assert markers.found_in(traces.worker_log) == set()
    assert markers.found_in(traces.metrics) == set()
    for error in traces.errors:
        assert markers.found_in(error) == set(), error
    for secret in (US_KEY.encode(), b"Authorization", SECRET, OLD_KEY["k1"]):
        for where in (traces.temporal, traces.postgres, traces.worker_log, *traces.errors):
            assert secret not in where
    # The search looked at the right things: what may be there is.
    assert b"Wrong key" in traces.postgres
    assert b"worker started" in traces.worker_log
    assert b"EmitonceConnections" in traces.listed
    assert b"emitonce_" in traces.metrics
    assert {"e-mail", "user id", "trait", "nested trait"} <= markers.found_in(traces.simulator)


@pytest.mark.timeout(180)
@pytest.mark.slow
async def test_no_marker_is_found_anywhere(tmp_path: Path, database: str) -> None:
    traces = await leave_traces(tmp_path, database, encrypted=True)
    assert markers.found_in(traces.temporal) == set()
    assert markers.found_in(traces.listed) == set()
    assert markers.KEY.encode() not in traces.temporal + traces.listed
    assert_nothing_beside_temporal(traces)


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_the_control_finds_them_with_encryption_off(tmp_path: Path, database: str) -> None:
    traces = await leave_traces(tmp_path, database, encrypted=False)
    assert markers.found_in(traces.temporal) >= {
        "e-mail",
        "user id",
        "trait",
        "nested trait",
        "resource id",
    }
    assert markers.KEY.encode() in traces.temporal
    assert markers.found_in(traces.temporal).isdisjoint({"API key", "idempotency key"})
    assert_nothing_beside_temporal(traces)
