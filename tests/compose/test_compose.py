"""The compose file, brought up unchanged on a real Docker daemon.

`make test-compose` sets EMITONCE_TEST_COMPOSE, and has `images/build.sh` make stand-ins of the
images where there are none. Ports are its own, so a stack that is up already is left alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from starter.dev.temporal_server import free_port

ROOT = Path(__file__).parents[2]
BUILT_COMPOSE = (
    Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    / "emitonce/images/bin/docker-compose"
)
LOAD = 40

pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("EMITONCE_TEST_COMPOSE"),
        reason="needs a Docker daemon: make test-compose",
    ),
    pytest.mark.timeout(900),
]


class Compose:
    """`docker compose` on a copy of the checkout, with secrets and volumes of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {name: str(free_port()) for name in ("UI", "HTTP", "SIMULATOR")}
        self._command = [str(BUILT_COMPOSE)] if BUILT_COMPOSE.exists() else ["docker", "compose"]

    def __call__(self, *arguments: str, seconds: float = 300) -> str:
        ran = subprocess.run(
            [
                *self._command,
                *("--project-name", "emitonce-test", "--env-file", "deploy/try.env"),
                *arguments,
            ],
            cwd=self.folder,
            env={
                **os.environ,
                **{f"{name}_PORT": port for name, port in self.ports.items()},
                "EMITONCE_VERSION": "test",
            },
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        assert ran.returncode == 0, f"compose {' '.join(arguments)}:\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout

    def emitonce(self, *arguments: str) -> Any:
        return json.loads(self("exec", "-T", "worker", "emitonce", *arguments, "--json"))

    def containers(self, service: str) -> list[str]:
        return self("ps", "--quiet", service).split()


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    folder = tmp_path_factory.mktemp("compose") / "checkout"
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode()
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    subprocess.run([folder / "deploy" / "make-secrets.sh"], check=True, timeout=30)
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", "emitonce:test", "."],
        cwd=folder,
        env={**os.environ, "DOCKER_BUILDKIT": "0"},
        check=True,
        timeout=600,
    )
    compose = Compose(folder)
    compose("config", "--quiet")
    try:
        compose("up", "--detach", "--no-build", "--wait")
        yield compose
    finally:
        compose("down", "--volumes", "--timeout", "5")


def test_one_command_sends_the_test_event(compose: Compose) -> None:
    event = compose.emitonce("test-event")
    assert event["status"] == "completed"
    assert compose.emitonce("doctor")["ok"] is True


def test_containers_run_as_nobody_on_a_read_only_file_system(compose: Compose) -> None:
    for service in ("worker", "api", "simulator"):
        [container] = compose.containers(service)
        described = json.loads(
            subprocess.run(["docker", "inspect", container], capture_output=True).stdout
        )[0]
        assert described["Config"]["User"] == "10001:10001"
        assert described["HostConfig"]["ReadonlyRootfs"] is True
        assert described["HostConfig"]["CapDrop"] == ["ALL"]
        text = json.dumps(described["Config"]["Env"])
        for secret in (compose.folder / "secrets").iterdir():
            assert secret.read_text() not in text, f"{secret.name} stands in the environment"


async def test_rolling_all_workers_under_load_loses_and_fails_nothing(compose: Compose) -> None:
    compose("up", "--detach", "--no-build", "--wait", "--scale", "worker=2", "worker")
    workspace = compose.emitonce("test-event")["workspace"]
    key = compose.emitonce(
        "keys", "create", "publishable", "--name", "load", "--workspace", workspace
    )
    simulator = f"http://127.0.0.1:{compose.ports['SIMULATOR']}/_sim"
    async with httpx.AsyncClient(timeout=30) as http:
        before = (await http.get(f"{simulator}/")).json()["requests"]

        async def emit(number: int) -> str:
            answer = await http.post(
                f"http://127.0.0.1:{compose.ports['HTTP']}/api/v1/events",
                json={"event": "user.signup", "payload": {"userId": f"usr_{number}"}},
                headers={"X-Meshes-Publishable-Key": key["public_key"]},
            )
            assert answer.status_code == 201, answer.text
            await asyncio.sleep(0.2)  # spread over the roll, not synchronisation
            return str(answer.json()["event"]["id"])

        async def emit_all() -> list[str]:
            return [await emit(number) for number in range(LOAD)]

        emitting = asyncio.create_task(emit_all())
        for container in compose.containers("worker"):
            await asyncio.to_thread(
                subprocess.run, ["docker", "restart", "--time", "30", container], check=True
            )
        events = await emitting
        async with asyncio.timeout(120):
            while True:
                shown = [compose.emitonce("events", "show", event) for event in events[-1:]]
                seen = (await http.get(f"{simulator}/")).json()["requests"]
                if shown[0]["status"] == "completed" and seen >= before + 2 * LOAD:
                    break
                await asyncio.sleep(0.5)
        requests = (await http.get(f"{simulator}/requests")).json()
    tracked = {request["body"]["userId"] for request in requests if request["path"] == "/v1/track"}
    assert {f"usr_{number}" for number in range(LOAD)} <= tracked
    page = compose.emitonce("events", "list", "--workspace", workspace, "--status", "failed")
    assert page["records"] == []


def test_a_restart_of_everything_keeps_everything(compose: Compose) -> None:
    event = compose.emitonce("test-event")
    compose("stop", "--timeout", "30")
    compose("up", "--detach", "--no-build", "--wait")
    assert compose.emitonce("events", "show", event["id"])["status"] == "completed"
