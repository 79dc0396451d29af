"""One trace from the caller's request to the vendor's answer, through processes of their own."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from temporalio.client import Client

from tests.integration.stack import SAMPLE, Stack, eventually, open_stack
from tests.operations.processes import ROOT, environment_of
from tests.ship.collector import collecting

TRACE = "0af7651916cd43dd8448eb211c80319c"


@asynccontextmanager
async def process(stack: Stack, *command: str, **settings: str) -> AsyncIterator[dict[str, str]]:
    """`emitonce …` until the context is left; yields the line that it prints when it is ready."""
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "starter.cli.main", *command, "--json"),
        cwd=ROOT,
        env=environment_of(stack) | settings,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert running.stdout is not None
        async with asyncio.timeout(60):
            yield json.loads(await running.stdout.readline())
    finally:
        running.terminate()
        await running.wait()


@pytest.mark.slow
async def test_from_the_callers_request_to_the_vendors_answer(
    temporal: Client, database: str
) -> None:
    with collecting() as collector:
        settings = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }
        async with (
            open_stack(temporal, database, working=False) as stack,
            process(stack, "api", "--port", "0", **settings) as api,
            process(stack, "worker", **settings),
        ):
            await stack.rule()
            key = await stack.catalog.publishable_keys.current(stack.organization, stack.workspace)
            assert key is not None
            async with httpx.AsyncClient() as http:
                answer = await http.post(
                    f"{api['http']}/api/v1/events",
                    json={"event": "user.signup", "payload": SAMPLE},
                    headers={
                        "X-Meshes-Publishable-Key": key.public_key,
                        "traceparent": f"00-{TRACE}-b7ad6b7169203331-01",
                    },
                )
            assert answer.status_code == 201, answer.text
            await stack.client.get_workflow_handle(answer.json()["event"]["id"]).result()

            async def complete() -> bool:
                return {
                    "StartWorkflow:DeliverEvent",
                    "RunActivity:identify",
                    "RunActivity:track",
                    "POST identify",
                    "POST track",
                } <= set(collector.of(TRACE))

            await eventually(complete)
    spans = collector.of(TRACE)
    [request] = [span for name, span in spans.items() if name.endswith("/events")]
    assert request.parent_span_id.hex() == "b7ad6b7169203331"
    assert spans["StartWorkflow:DeliverEvent"].parent_span_id == request.span_id
    assert spans["POST track"].parent_span_id == spans["RunActivity:track"].span_id
    for personal in ("usr_2048", "example.com"):
        assert personal.encode() not in collector.received
