"""One development stack for all tests of the command line; they use workspaces of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest_asyncio

from tests.cli.command import CommandLine, InProcess, running_dev


@dataclass(frozen=True)
class Dev:
    """`ready` is the line that `emitonce dev --json` printed."""

    cli: CommandLine
    ready: dict[str, Any]

    async def fail(self, path: str, times: int, **fault: Any) -> None:
        async with httpx.AsyncClient() as http:
            body = {"path": path, "fault": fault, "times": times}
            answer = await http.post(f"{self.ready['simulator']}/_sim/faults", json=body)
            assert answer.status_code == 200, answer.text

    async def received(self, event: str | None = None) -> list[dict[str, Any]]:
        """What the simulator received; of events with this name at Customer.io alone."""
        async with httpx.AsyncClient() as http:
            requests = (await http.get(f"{self.ready['simulator']}/_sim/requests")).json()
        return [r for r in requests if event is None or (r["body"] or {}).get("event") == event]

    async def workspace(self, name: str) -> str:
        made = await self.cli.json("workspaces", "create", "--name", name)
        return made["workspace"]["id"]

    async def connection(self, workspace: str, key: str = "sim-us-key") -> str:
        made = await self.cli.json(
            *("connections", "create", "--workspace", workspace, "--name", "Customer io"),
            *("--region", "us", "--api-key", key),
        )
        return made["connection"]["id"]

    async def rule(self, workspace: str, connection: str, *more: str) -> str:
        made = await self.cli.json(
            *("rules", "create", "--workspace", workspace, "--connection", connection),
            *("--event", "user.signup", *more),
        )
        return made["rule"]["id"]


@pytest_asyncio.fixture(scope="session")
async def dev(tmp_path_factory) -> AsyncIterator[Dev]:
    data_dir = tmp_path_factory.mktemp("dev")
    async with running_dev(data_dir) as ready:
        yield Dev(InProcess(data_dir), ready)
