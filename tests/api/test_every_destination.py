"""Meshes' management client and its MCP server set up every destination, and emit to all of them.

The bodies are those that the MCP server sends through the client. With the path of the client's
own module in `EMITONCE_TEST_MESHES_CLIENT`, that is what sends them.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client

from destinations.registry import BY_TYPE
from destinations.webhook.simulator import WebhookSimulator
from tests.api.caller import Api, open_api
from tests.every_destination import Sample, samples
from tests.integration.stack import SAMPLE, open_stack

EVENT = "user.signup"
MODULE = os.environ.get("EMITONCE_TEST_MESHES_CLIENT")
SCRIPT = """
const { MeshesApiClient } = await import(process.argv[1]);
const { organization, access, secret, url, path, body } = JSON.parse(process.argv[2]);
const client = new MeshesApiClient(organization, access, secret, { apiBaseUrl: `${url}/api/v1` });
console.log(JSON.stringify(await client.post(path, body)));
"""
Post = Callable[[Api, str, Any], Awaitable[Any]]


async def restated(api: Api, path: str, body: Any) -> Any:
    answer = await api.post(path, body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def by_the_client(api: Api, path: str, body: Any) -> Any:
    asked = {
        "organization": api.machine.organization,
        "access": api.machine.access_key,
        "secret": api.machine.secret_key,
        "url": api.url,
        "path": path,
        "body": body,
    }
    node = await asyncio.create_subprocess_exec(
        *("node", "--input-type=module", "-e", SCRIPT, str(MODULE), json.dumps(asked)),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await node.communicate()
    assert node.returncode == 0
    return json.loads(said)


CLIENT = pytest.param(
    by_the_client,
    marks=pytest.mark.skipif(
        not (MODULE and shutil.which("node")),
        reason="needs Node and EMITONCE_TEST_MESHES_CLIENT, the path of the client's module",
    ),
)


@pytest_asyncio.fixture
async def known(temporal: Client, database: str) -> AsyncIterator[tuple[Api, dict[str, Sample]]]:
    async with WebhookSimulator() as receiver:
        allowed = "{}:{}".format(*receiver.address)
        async with (
            open_stack(temporal, database, allowed_private_hosts=allowed) as stack,
            open_api(stack) as api,
        ):
            yield api, samples(receiver.url)


@pytest.mark.parametrize("post", [restated, CLIENT])
async def test_connections_and_rules_of_every_type_are_created_and_emitted_to(
    known: tuple[Api, dict[str, Sample]], post: Post
) -> None:
    api, offered = known
    assert offered.keys() == BY_TYPE.keys()
    workspace = api.stack.workspace
    for type, sample in offered.items():
        made = await post(
            api,
            "/connections",
            {
                "workspace": workspace,
                "type": type,
                "name": f"Acme {type}",
                "metadata": dict(sample.fields),
                "hidden": False,
            },
        )
        assert made["connection"]["type"] == type
        rule = await post(
            api,
            "/rules",
            {
                "workspace": workspace,
                "connection": made["connection"]["id"],
                "event": EVENT,
                "metadata": dict(sample.metadata),
                "active": True,
                "hidden": False,
            },
        )
        assert rule["rule"]["metadata"]["action"] == sample.metadata["action"]
    emitted = await post(
        api, "/events", {"workspace": workspace, "event": EVENT, "payload": SAMPLE}
    )
    event = await api.ended(emitted["event"]["id"])
    assert (event["status"], event["completed_count"]) == ("completed", len(BY_TYPE))
    reached = {one["integration_type"] for one in event["rule_events"]}
    assert reached == BY_TYPE.keys()
