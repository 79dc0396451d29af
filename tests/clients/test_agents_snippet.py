"""What docs/assistants.md gives a project's AGENTS.md works as it stands on the page."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.api.caller import Api
from tests.clients.conftest import ROOT, machine_key, run
from tests.integration.stack import eventually

RELAYED = """
import sqlite3
from emitonce import HTTPEmitter
from events import SCHEMA, pay, relay

database = sqlite3.connect(":memory:")
database.executescript(SCHEMA)
pay(database, "order-17", "usr_agents")
with HTTPEmitter() as emitter:
    relay(database, emitter)
    relay(database, emitter)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    page = (ROOT / "docs" / "assistants.md").read_text()
    files = re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in files] == ["events.py", "test_events.py"]
    for name, code in files:
        (tmp_path / name).write_text(code)
    return tmp_path


async def test_its_own_tests_pass(project: Path) -> None:
    ran = await run(
        *(sys.executable, "-m", "pytest", "-q", "-p", "emitonce.pytest_plugin", "test_events.py"),
        cwd=project,
    )
    assert ran.code == 0, ran.out
    assert "2 passed" in ran.out


async def test_its_outbox_reaches_the_destination_once(api: Api, project: Path) -> None:
    await api.stack.rule(event="order.paid")
    (project / "main.py").write_text(RELAYED)
    ran = await run(
        sys.executable, "main.py", cwd=project, EMITONCE_URL=api.url, **machine_key(api)
    )
    assert ran.code == 0, ran.out
    calls = api.stack.calls

    async def delivered() -> bool:
        return len(calls(user="usr_agents")) == 2

    await eventually(delivered)
    assert [call.call for call in calls(user="usr_agents")] == ["identify", "track"]
