"""The same two steps in a Restate service; its server comes from npm.

As a program (`python -m bench.lanes.restate PORT`) it is the lane's worker.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from bench.emitter import Accept
from bench.lane import Lane, Unavailable
from bench.processes import ROOT, Process, python
from starter.dev.temporal_server import free_port

SERVER = ROOT / ".tools" / "restate" / "bin" / "restate-server"


def start(directory: Path, vendor: str) -> Lane:
    if not SERVER.exists():
        raise Unavailable(f"no {SERVER.relative_to(ROOT)}: make bench-tools")
    try:
        import restate  # type: ignore[import-not-found]  # noqa: F401
    except ImportError:
        raise Unavailable("uv sync --group bench") from None
    ingress, admin, node, service = (free_port() for _ in range(4))
    server = Process.start(
        "engine",
        [str(SERVER), "--base-dir", str(directory / "restate"), "--node-name", "bench"],
        env={
            "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
            "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
            "RESTATE_BIND_ADDRESS": f"127.0.0.1:{node}",
            "RESTATE_ADVERTISED_ADDRESS": f"http://127.0.0.1:{node}",
            "RESTATE_DISABLE_TELEMETRY": "true",
        },
        wait=False,
        log=directory / "server.log",
    )

    def start_worker() -> Process:
        return Process.start(
            "worker",
            python("bench.lanes.restate", str(service)),
            env={"BENCH_VENDOR": vendor},
            log=directory / "worker.log",
        )

    worker = start_worker()
    _register(admin, service)
    return Lane(
        name="restate",
        target={"ingress": f"http://127.0.0.1:{ingress}"},
        stored=(directory / "restate",),
        start_worker=start_worker,
        engine=[server],
        workers=[worker],
        settings={"server": "defaults, one node"},
    )


def _register(admin: int, service: int) -> None:
    body = json.dumps({"uri": f"http://127.0.0.1:{service}"}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{admin}/deployments", body, {"content-type": "application/json"}
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10):
                return
        except (urllib.error.URLError, OSError) as err:
            if time.monotonic() > deadline:
                raise RuntimeError(f"Restate takes no deployment: {err}") from err
            time.sleep(0.2)


@asynccontextmanager
async def accepting(target: dict[str, Any]) -> AsyncIterator[Accept]:
    async with httpx.AsyncClient(timeout=60) as http:

        async def accept(number: int, payload: dict[str, Any]) -> None:
            url = f"{target['ingress']}/Deliver/deliver/send"
            (await http.post(url, json=payload)).raise_for_status()

        yield accept


async def main(port: int) -> None:
    import hypercorn.asyncio  # type: ignore[import-not-found]
    import restate

    vendor = os.environ["BENCH_VENDOR"]
    globals()["restate"] = restate  # its decorator evaluates annotations in this module
    service = restate.Service("Deliver")
    # All invocations run at once: they must not give up waiting for a connection of the pool.
    http = httpx.AsyncClient(auth=("key", ""), timeout=httpx.Timeout(10, pool=None))

    async def post(call: str, body: dict[str, Any]) -> str:
        answer = await http.post(f"{vendor}/{call}", json=body)
        answer.raise_for_status()
        return answer.text

    @service.handler()
    async def deliver(ctx: restate.Context, payload: dict[str, Any]) -> None:
        traits = {name: value for name, value in payload.items() if name != "userId"}
        identified = {"userId": payload["userId"], "traits": traits}
        tracked = {"userId": payload["userId"], "event": "Signed Up"}
        await ctx.run_typed("identify", post, call="identify", body=identified)
        await ctx.run_typed("track", post, call="track", body=tracked)

    config = hypercorn.Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.loglevel = "ERROR"
    serving = asyncio.create_task(hypercorn.asyncio.serve(restate.app([service]), config))
    print(json.dumps({"ready": True}), flush=True)
    await serving


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
