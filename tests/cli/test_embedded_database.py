"""Without EMITONCE_DATABASE_URL, development has a database of its own; production never has."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from temporalio.client import Client

from tests.cli.command import PROGRAM, CommandLine, environment

SETTINGS = 6


@asynccontextmanager
async def ready(data_dir: Path, temporal: Client, *command: str):
    """A process that has said that it is ready; it ends on SIGTERM, with exit code 0."""
    process = await asyncio.create_subprocess_exec(
        *PROGRAM,
        *(*command, "--json"),
        stdout=asyncio.subprocess.PIPE,
        env=environment(data_dir, TEMPORAL_ADDRESS=temporal.service_client.config.target_host),
        cwd=data_dir,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            yield json.loads(await process.stdout.readline())
    finally:
        process.terminate()
        assert await process.wait() == 0


@pytest.mark.slow
async def test_worker_and_api_share_an_embedded_database(tmp_path, temporal: Client) -> None:
    (tmp_path / "postgres").mkdir()
    async with (
        ready(tmp_path, temporal, "worker") as worker,
        ready(tmp_path, temporal, "api", "--port", "0") as api,
    ):
        assert worker["ready"]
        assert api["ready"]
    migrated = await CommandLine(tmp_path).json("migrate")
    assert migrated["applied"] == []


@pytest.mark.parametrize(
    "command",
    ["worker", *(pytest.param(one, marks=pytest.mark.slow) for one in ("api", "migrate"))],
)
async def test_production_embeds_no_database(tmp_path, command: str) -> None:
    (tmp_path / "postgres").mkdir()
    credential, payload, instance = (
        base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(3)
    )
    ran = await CommandLine(tmp_path).run(
        command,
        EMITONCE_ENV="production",
        EMITONCE_CREDENTIAL_KEYS=f"k1:{credential}",
        EMITONCE_PAYLOAD_KEYS=f"p1:{payload}",
        EMITONCE_INSTANCE_SECRET=instance,
    )
    assert ran.code == SETTINGS
    assert "EMITONCE_DATABASE_URL" in ran.err
    assert not list((tmp_path / "postgres").iterdir())
