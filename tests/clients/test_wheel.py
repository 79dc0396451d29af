"""The published client: its top level is `emitonce` and nothing else, and it needs no server."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.api.caller import Api
from tests.clients.conftest import installed, machine_key, run

pytestmark = pytest.mark.slow

BACKEND = """
import settings                      # the project's own
from workflows import billing        # so is this
from emitonce import HTTPEmitter

assert settings.OURS and billing.OURS
with HTTPEmitter() as emitter:
    event = emitter.emit("user.signup", {"userId": "usr_2048", "plan": "pro"})
print(event.id)
"""
NO_SERVER = ("temporalio", "pydantic", "asyncpg", "fastapi", "cryptography")


def test_its_top_level_is_exactly_emitonce(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
        names = archive.namelist()
    assert {top for top in tops if not top.endswith(".dist-info")} == {"emitonce"}
    assert "emitonce/py.typed" in names


async def test_it_emits_beside_a_project_with_workflows_and_settings_of_its_own(
    python_with_wheel: Path, api: Api, tmp_path: Path
) -> None:
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "billing.py").write_text("OURS = True\n")
    (tmp_path / "settings.py").write_text("OURS = True\n")
    (tmp_path / "backend.py").write_text(BACKEND)
    await api.stack.rule()
    ran = await run(
        python_with_wheel,
        "backend.py",
        cwd=tmp_path,
        EMITONCE_URL=api.url,
        **machine_key(api),
    )
    assert ran.code == 0, ran.out
    await api.ended(ran.out.strip())
    assert [call.call for call in api.stack.calls(user="usr_2048")] == ["identify", "track"]


async def test_it_brings_none_of_the_servers_dependencies(
    python_with_wheel: Path, tmp_path: Path
) -> None:
    asked = f"import importlib.util as u; print([n for n in {NO_SERVER} if u.find_spec(n)])"
    assert (await run(python_with_wheel, "-c", asked, cwd=tmp_path)).out.strip() == "[]"
    told = await run(python_with_wheel, "-c", "from emitonce import Emitter", cwd=tmp_path)
    assert told.code == 1
    assert "install emitonce[temporal], or emit over HTTP" in told.out


async def test_it_brings_its_fixtures_to_pytest(uv: str, wheel: Path, tmp_path: Path) -> None:
    python = installed(uv, tmp_path / "venv", str(wheel), "pytest")
    (tmp_path / "test_backend.py").write_text(
        "def test_it(fake_emitter, async_fake_emitter):\n"
        "    fake_emitter.emit('user.signup', {'userId': 'usr_2048'})\n"
        "    assert fake_emitter.events[0].payload == {'userId': 'usr_2048'}\n"
        "    assert async_fake_emitter.events == []\n"
    )
    ran = await run(python, "-m", "pytest", "-q", "-W", "error", cwd=tmp_path)
    assert ran.code == 0, ran.out


async def test_with_the_extra_it_starts_events_on_temporal(
    uv: str, wheel: Path, api: Api, tmp_path: Path
) -> None:
    python = installed(uv, tmp_path / "venv", f"{wheel}[temporal]")
    stack = api.stack
    await stack.rule()
    (tmp_path / "backend.py").write_text(
        "import sys\n"
        "from emitonce import SyncEmitter\n"
        f"with SyncEmitter(task_queue={stack.task_queue!r}) as emitter:\n"
        "    print(emitter.emit('user.signup', {'userId': 'usr_7'}))\n"
    )
    ran = await run(
        python,
        "backend.py",
        cwd=tmp_path,
        EMITONCE_WORKSPACE=stack.workspace,
        TEMPORAL_ADDRESS=stack.client.service_client.config.target_host,
    )
    assert ran.code == 0, ran.out
    await stack.client.get_workflow_handle(ran.out.strip()).result()
    assert [call.call for call in stack.calls(user="usr_7")] == ["identify", "track"]
