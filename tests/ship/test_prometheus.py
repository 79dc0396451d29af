"""A real Prometheus reads the metrics, and understands every rule and every panel.

Needs `prometheus` and `promtool` (Debian: prometheus).
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from temporalio.client import Client

from destinations.customerio.simulator import Fault
from engine.connect import connect
from engine.telemetry import open_telemetry
from operations.backlog import measured_backlog
from starter.dev.temporal_server import free_port
from tests.api.caller import open_api
from tests.integration.stack import eventually, open_stack

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "emitonce.json"
# Of parts that this test has not got, or of what has not happened in it.
ABSENT = ("persistence_latency", "execution_failed", "request_failure", "throttled")

pytestmark = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="prometheus is not installed",
)


def panels() -> list[tuple[str, str]]:
    """Title and query of each."""
    found = json.loads(DASHBOARD.read_text())["panels"]
    return [
        (panel["title"], target["expr"].replace("$__rate_interval", "1m"))
        for panel in found
        for target in panel.get("targets", ())
    ]


def test_configuration_and_rules_are_valid() -> None:
    command = ["promtool", "check", "config", str(DEPLOY / "prometheus" / "prometheus.yml")]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_rules_fire_when_they_should(tmp_path: Path) -> None:
    """By promtool's own unit tests: each alert with what it is for, and with what it is not."""
    tests = Path(__file__).with_name("alerts_test.yml")
    command = ["promtool", "test", "rules", str(tests)]
    tested = subprocess.run(command, capture_output=True, text=True, cwd=tests.parent)
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.slow
async def test_every_panel_and_rule_has_data_of_a_run(
    temporal: Client, database: str, tmp_path: Path
) -> None:
    address = f"127.0.0.1:{free_port()}"
    telemetry = open_telemetry(metrics_address=address, role="worker")
    client = await connect(
        temporal.service_client.config.target_host,
        runtime=telemetry.runtime,
        data_converter=temporal.data_converter,
    )
    async with (
        open_stack(client, database) as stack,
        open_api(stack, meter=telemetry.meter) as api,
        measured_backlog(client, stack.task_queue, telemetry.meter, 1),
        prometheus(tmp_path, address) as ask,
    ):
        await stack.rule()
        stack.sim.fail("identify", fault=Fault(status=503), times=3)

        empty: list[str] = []

        async def every_panel_has_data() -> bool:
            await api.ended((await api.emitted())["id"])
            empty[:] = [
                title
                for title, query in panels()
                if not any(word in query for word in ABSENT) and not await ask(query)
            ]
            return not empty

        try:
            await eventually(every_panel_has_data, within=60)
        except AssertionError:
            pytest.fail(f"panels without data: {empty}")
        [(_, accepted)] = await ask("sum(increase(emitonce_events_accepted_total[1m]))")
        assert accepted > 0
        assert await ask('ALERTS{alertstate="firing"}') == []


@asynccontextmanager
async def prometheus(folder: Path, address: str) -> AsyncIterator[Any]:
    """Yields a function that asks a query and gives labels and value of each sample."""
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"] = [
        {"job_name": job, "static_configs": [{"targets": [address]}]}
        for job in ("emitonce-worker",)
    ]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    shutil.copy(DEPLOY / "prometheus" / "alerts.yml", folder)
    listens = f"127.0.0.1:{free_port()}"
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={listens}",
        "--log.level=error",
    )
    async with httpx.AsyncClient(base_url=f"http://{listens}") as http:

        async def ask(query: str) -> list[tuple[dict[str, str], float]]:
            answer = await http.get("/api/v1/query", params={"query": query})
            assert answer.status_code == 200, f"{query}: {answer.text}"
            found = answer.json()["data"]["result"]
            return [(one["metric"], float(one["value"][1])) for one in found]

        async def up() -> bool:
            try:
                answer = await http.get("/-/ready")
            except httpx.ConnectError:
                return False
            return answer.status_code == 200 and bool(await ask("up == 1"))

        try:
            await eventually(up, within=60)
            yield ask
        finally:
            process.terminate()
            await process.wait()
