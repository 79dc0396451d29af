"""Every example is run as its README says, and what it emits is delivered.

They fetch their dependencies, so they run with `make test-examples` and where a toolchain is there.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from pathlib import Path

import httpx
import pytest

from starter.dev.temporal_server import free_port
from tests.api.caller import Api
from tests.clients.conftest import ROOT, installed, machine_key, run
from tests.integration.stack import Stack, eventually

pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("EMITONCE_TEST_EXAMPLES"),
        reason="fetches packages of four languages: set EMITONCE_TEST_EXAMPLES=1",
    ),
    pytest.mark.timeout(600),
]
EXAMPLES = ROOT / "examples"
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def needs(tool: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")


def copied(name: str, folder: Path) -> Path:
    ignored = shutil.ignore_patterns("node_modules", "target")
    return Path(shutil.copytree(EXAMPLES / name, folder / name, ignore=ignored))


async def delivered_by(stack: Stack, *commands: list[str], cwd: Path, user: str) -> None:
    """Run the commands; the last one prints the event's id, which is waited for."""
    await stack.rule()
    settings = {
        "TEMPORAL_ADDRESS": stack.client.service_client.config.target_host,
        "EMITONCE_WORKSPACE": stack.workspace,
        "EMITONCE_TASK_QUEUE": stack.task_queue,
    }
    out = ""
    for command in commands:
        ran = await run(*command, cwd=cwd, seconds=500, **settings)
        assert ran.code == 0, ran.out
        out = ran.out
    event_id = UUID.findall(out)[-1]  # Maven colours what it prints
    await stack.client.get_workflow_handle(event_id).result()
    assert [call.call for call in stack.calls(user=user)] == ["identify", "track"]


@needs("go")
async def test_go(stack: Stack, tmp_path: Path) -> None:
    folder = copied("go", tmp_path)
    await delivered_by(stack, ["go", "run", "."], cwd=folder, user="usr_go")


@needs("npm")
async def test_typescript(stack: Stack, tmp_path: Path) -> None:
    folder = copied("typescript", tmp_path)
    commands = (
        ["npm", "ci", "--silent", "--no-audit", "--no-fund"],
        ["npx", "tsc", "--noEmit", "--target", "es2022", "--module", "nodenext", "start-event.ts"],
        ["npm", "run", "--silent", "start"],
    )
    await delivered_by(stack, *commands, cwd=folder, user="usr_typescript")


@needs("mvn")
async def test_java(stack: Stack, tmp_path: Path) -> None:
    folder = copied("java", tmp_path)
    command = ["mvn", "-q", "-B", "compile", "exec:java"]
    await delivered_by(stack, command, cwd=folder, user="usr_java")


async def test_python(stack: Stack, uv: str, tmp_path: Path) -> None:
    python = installed(uv, tmp_path / "venv", "temporalio>=1.35,<2")
    command = [str(python), "start_event.py"]
    await delivered_by(stack, command, cwd=EXAMPLES / "python", user="usr_python")


async def test_django(api: Api, uv: str, wheel: Path, tmp_path: Path) -> None:
    python = installed(uv, tmp_path / "venv", "django>=5.2,<7", "pytest", str(wheel))
    await own_tests(python, "django", tmp_path)
    settings = {
        "EMITONCE_URL": api.url,
        **machine_key(api),
        "DATABASE": str(tmp_path / "shop.sqlite3"),
    }
    await api.stack.rule(event="order.created")
    shop = [python, "shop.py"]
    ordered = await run(*shop, "order", "usr_django", cwd=EXAMPLES / "django", **settings)
    assert ordered.code == 0, ordered.out
    assert api.stack.calls(user="usr_django") == []
    assert [
        (await run(*shop, "relay", cwd=EXAMPLES / "django", **settings)).out.strip()
        for _ in range(2)
    ] == ["1", "0"]
    await calls_of(api, "usr_django")


async def test_fastapi(api: Api, uv: str, wheel: Path, tmp_path: Path) -> None:
    python = installed(
        uv, tmp_path / "venv", "fastapi", "uvicorn", "aiosqlite", "pytest", str(wheel)
    )
    await own_tests(python, "fastapi", tmp_path)
    await api.stack.rule(event="order.created")
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(str(python), "-m", "uvicorn", "app:app", "--port", str(port)),
        cwd=EXAMPLES / "fastapi",
        env=os.environ
        | {
            "EMITONCE_URL": api.url,
            **machine_key(api),
            "DATABASE": str(tmp_path / "shop.db"),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as shop:

            async def ordered() -> bool:
                try:
                    answer = await shop.post("/orders", params={"customer": "usr_fastapi"})
                except httpx.ConnectError:
                    return False
                return answer.status_code == 201

            await eventually(ordered, within=60)
        await calls_of(api, "usr_fastapi")
    finally:
        process.terminate()
        await process.wait()


async def test_celery(api: Api, uv: str, wheel: Path, tmp_path: Path) -> None:
    python = installed(uv, tmp_path / "venv", "celery", "sqlalchemy", "pytest", str(wheel))
    await own_tests(python, "celery", tmp_path)
    await api.stack.rule()
    settings = {
        "EMITONCE_URL": api.url,
        **machine_key(api),
        "CELERY_BROKER_URL": f"sqla+sqlite:///{tmp_path}/broker.db",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    # The same task twice: its id is the key, so there is one event.
    enqueue = (
        "import tasks\n"
        "for _ in range(2):\n"
        "    tasks.emit.apply_async(('user.signup', {'userId': 'usr_celery'}), task_id='t1')\n"
    )
    enqueued = await run(python, "-c", enqueue, cwd=EXAMPLES / "celery", **settings)
    assert enqueued.code == 0, enqueued.out
    log = tmp_path / "worker.log"
    with log.open("wb") as said:
        worker = await asyncio.create_subprocess_exec(
            *(str(python), "-m", "celery", "-A", "tasks", "worker", "-c", "1", "-l", "info"),
            cwd=EXAMPLES / "celery",
            env=os.environ | settings,
            stdout=said,
            stderr=said,
        )

    async def both_ran() -> bool:
        return log.read_text().count("] succeeded in") == 2

    try:
        await eventually(both_ran, within=60)
        await calls_of(api, "usr_celery")
    finally:
        worker.terminate()
        await worker.wait()
    await api.stack.listed(1)
    page = (await api.get(f"/workspaces/{api.stack.workspace}/events")).json()
    assert page["count"] == 1


async def own_tests(python: Path, example: str, tmp_path: Path) -> None:
    """The example's own, with the fixtures that the installed package brings."""
    ran = await run(python, "-m", "pytest", "-q", cwd=copied(example, tmp_path))
    assert ran.code == 0, ran.out
    assert "passed" in ran.out


async def calls_of(api: Api, user: str) -> None:
    """Wait for identify and track, and for nothing else of this person."""

    async def both() -> bool:
        return len(api.stack.calls(user=user)) == 2

    await eventually(both, within=60)
    assert [call.call for call in api.stack.calls(user=user)] == ["identify", "track"]
