"""Schemathesis over the OpenAPI document: all its checks, bounded here and long in `make fuzz`."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from tests.api.caller import Api

HERE = Path(__file__).parent
EXAMPLES = int(os.environ.get("EMITONCE_FUZZ_EXAMPLES", "4"))
SECONDS = 240 + EXAMPLES * 30


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Much of what is made up is refused, all of it to one key."""
    monkeypatch.setattr("starter.api.app.REFUSED_ACTS", 1_000_000)


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.slow
async def test_no_surprise_is_found_in_the_document(patient: None, api: Api, tmp_path: Path):
    rule = await api.stack.rule()
    event = await api.ended((await api.emitted())["id"])
    attempts = await api.get(f"/events/{event['id']}/rules/{rule.id}/attempts")
    ids = {
        "workspace_id": api.stack.workspace,
        "connection_id": rule.connection,
        "rule_id": rule.id,
        "event_id": event["id"],
        "attempt_id": attempts.json()["records"][0]["id"],
    }
    key = {
        "organization": api.machine.organization,
        "access_key": api.machine.access_key,
        "secret_key": api.machine.secret_key,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli"),
        *("--config-file", str(HERE / "schemathesis.toml")),
        *("run", f"{api.url}/openapi.json", "--checks", "all"),
        *("--max-examples", str(EXAMPLES), "--continue-on-failure", "--warnings", "off"),
        *("--request-timeout", "40", "--seed", os.environ.get("EMITONCE_FUZZ_SEED", "1")),
        *("--generation-database", ":memory:"),
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(HERE.parent.parent),
            "SCHEMATHESIS_HOOKS": "tests.api.fuzz",
            "EMITONCE_FUZZ_KEY": json.dumps(key),
            "EMITONCE_FUZZ_IDS": json.dumps(ids),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, out.decode()[-20_000:]
