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
from bench.vendor import AT_ONCE, Vendor
from destinations.http.exchange import Http
from starter.dev.temporal_server import free_port

JSON = {"Content-Type": "application/json"}
SERVER = ROOT / ".tools" / "restate" / "bin" / "restate-server"


def start(directory: Path, vendor: str) -> Lane:
    if not SERVER.exists():
        raise Unavailable(f"no {SERVER.relative_to(ROOT)}: make bench-tools")
    try:
        import restate  # type: ignore[import-not-found]  # noqa: F401
    except ImportError:
        raise Unavailable("make bench-tools") from None
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
            "RESTATE_WORKER__INVOKER__CONCURRENT_INVOCATIONS_LIMIT": str(AT_ONCE),
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
        settings={"server": "one node", "invocations at once": str(AT_ONCE)},
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
    url = httpx.URL(f"{target['ingress']}/Deliver/deliver/send")
    async with Http(AT_ONCE) as http:

        async def accept(number: int, payload: dict[str, Any]) -> None:
            body = json.dumps(payload).encode()
            answer = await http.ask("POST", url, JSON, body, anywhere=True, seconds=60)
            if answer.status_code >= 300:
                raise RuntimeError(f"Restate answered {answer.status_code}")

        yield accept


async def main(port: int) -> None:
    import hypercorn.asyncio  # type: ignore[import-not-found]
    import restate

    globals()["restate"] = restate  # its decorator evaluates annotations in this module
    service = restate.Service("Deliver")
    vendor = Vendor(os.environ["BENCH_VENDOR"])

    @service.handler()
    async def deliver(ctx: restate.Context, payload: dict[str, Any]) -> None:
        await ctx.run_typed("identify", vendor.identify, payload=payload)
        await ctx.run_typed("track", vendor.track, payload=payload)

    config = hypercorn.Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.loglevel = "ERROR"
    # As its documentation has it for production.
    config.h2_max_concurrent_streams = 2147483647
    config.keep_alive_max_requests = 2147483647
    config.keep_alive_timeout = 2147483647
    serving = asyncio.create_task(hypercorn.asyncio.serve(restate.app([service]), config))
    print(json.dumps({"ready": True}), flush=True)
    await serving


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
