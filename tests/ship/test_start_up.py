"""A worker that can't begin ends within seconds, with one sentence that names what to change."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import uuid
from contextlib import suppress
from pathlib import Path

import pytest
import structlog
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from engine.connect import connect
from engine.namespace import NamespaceUnfit, prepare_namespace
from settings import Settings
from starter.cli.exit_codes import exit_code
from starter.dev.temporal_server import free_port
from tests.conftest import psql
from tests.integration.stack import Stack, eventually
from tests.operations.processes import ROOT, environment_of
from worker import run

SETTINGS = 6
AWAY = 5


async def ends(environment: dict[str, str]) -> tuple[int, str]:
    """Exit code and sentence of a worker with these settings, started within this process."""
    with pytest.MonkeyPatch.context() as patched:
        for name in [name for name in os.environ if name.startswith(("EMITONCE_", "TEMPORAL_"))]:
            patched.delenv(name)
        for name, value in environment.items():
            if name.startswith(("EMITONCE_", "TEMPORAL_")):
                patched.setenv(name, value)
        with pytest.raises(Exception) as raised:
            async with asyncio.timeout(30):
                await run(Settings())
    code = exit_code(raised.value)
    assert code is not None, raised.value
    said = str(raised.value)
    assert "\n" not in said
    return code, said


async def test_the_process_says_it_in_one_line_and_no_traceback(settings: dict[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "starter.cli.main", "worker"),
        cwd=ROOT,
        env=settings | {"EMITONCE_DEPLOYMENT": "emitonce"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode == SETTINGS
    assert out == b""
    assert b"Traceback" not in err
    assert b"EMITONCE_BUILD_ID" in err.strip().splitlines()[-1]


@pytest.fixture
def settings(stack: Stack) -> dict[str, str]:
    return environment_of(stack) | {"COLUMNS": "1000", "EMITONCE_CONNECT_TIMEOUT_SECONDS": "2"}


async def test_nobody_at_the_temporal_address(settings: dict[str, str]) -> None:
    code, said = await ends(settings | {"TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}"})
    assert code == AWAY
    assert "TEMPORAL_ADDRESS" in said


async def test_a_namespace_that_is_missing(settings: dict[str, str]) -> None:
    code, said = await ends(settings | {"TEMPORAL_NAMESPACE": "nobody-made-it"})
    assert code == SETTINGS
    assert "TEMPORAL_NAMESPACE" in said
    assert "namespace create" in said


@pytest.mark.slow
async def test_nobody_at_the_database_address(settings: dict[str, str]) -> None:
    url = f"postgresql://127.0.0.1:{free_port()}/emitonce"
    code, said = await ends(settings | {"EMITONCE_DATABASE_URL": url})
    assert code == AWAY
    assert "catalog" in said or "database" in said


async def test_an_older_schema(settings: dict[str, str], stack: Stack) -> None:
    async with psql(stack.database) as connection:
        newest = await connection.fetchval("SELECT max(name) FROM schema_migrations")
        await connection.execute("DELETE FROM schema_migrations WHERE name = $1", newest)
    code, said = await ends(settings)
    assert code == SETTINGS
    assert newest in said
    assert "emitonce migrate" in said


async def test_a_metrics_port_in_use(settings: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, said = await ends(settings | {"EMITONCE_METRICS_ADDRESS": address})
    assert code == SETTINGS
    assert "EMITONCE_METRICS_ADDRESS" in said


async def test_a_deployment_without_a_build(settings: dict[str, str]) -> None:
    code, said = await ends(settings | {"EMITONCE_DEPLOYMENT": "emitonce"})
    assert code == SETTINGS
    assert "EMITONCE_BUILD_ID" in said


async def test_production_without_secrets(settings: dict[str, str], tmp_path: Path) -> None:
    for name in ("EMITONCE_CREDENTIAL_KEYS", "EMITONCE_INSTANCE_SECRET"):
        settings.pop(name)
    code, said = await ends(
        settings | {"EMITONCE_ENV": "production", "EMITONCE_DATA_DIR": str(tmp_path)}
    )
    assert code == SETTINGS
    assert "EMITONCE_CREDENTIAL_KEYS" in said


async def test_secrets_are_read_from_files(
    settings: dict[str, str], tmp_path: Path, stack: Stack
) -> None:
    """The settings name nothing but the folder; it gets as far as the wrong key in it."""
    for name in ("EMITONCE_CREDENTIAL_KEYS", "EMITONCE_INSTANCE_SECRET"):
        (tmp_path / name.lower()).write_text(settings.pop(name) + "\n")
    (tmp_path / "emitonce_credential_keys").write_text("k1:tooshort")
    code, said = await ends(settings | {"EMITONCE_SECRETS_DIR": str(tmp_path)})
    assert code == SETTINGS
    assert "EMITONCE_CREDENTIAL_KEYS" in said


async def test_a_short_retention_is_warned_of(
    settings: dict[str, str], temporal: Client, stack: Stack
) -> None:
    namespace = f"short-{uuid.uuid4()}"
    request = RegisterNamespaceRequest(namespace=namespace)
    request.workflow_execution_retention_period.FromJsonString("86400s")
    await temporal.workflow_service.register_namespace(request)
    with structlog.testing.capture_logs() as said:

        async def prepared() -> bool:
            # A server tells its parts of a new namespace within some seconds.
            with suppress(NamespaceUnfit):
                await prepare_namespace(
                    await connect(temporal.service_client.config.target_host, namespace=namespace)
                )
                return True
            return False

        await eventually(prepared, within=30)
    assert [line["retention_hours"] for line in said] == [24]
