"""A Temporal server for a lane: with its development defaults, or as we run it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from temporalio.client import Client

from bench.processes import Process
from engine.connect import TemporalUnreachable, connect
from starter.dev.server_binary import find_server_binary
from starter.dev.temporal_server import free_port, server_flags

# What `temporal server start-dev` has unless told otherwise; our own server's defaults differ.
DEFAULTS = (
    *("--dynamic-config-value", "matching.numTaskqueueReadPartitions=4"),
    *("--dynamic-config-value", "matching.numTaskqueueWritePartitions=4"),
    *("--sqlite-pragma", "journal_mode=DELETE"),
    *("--sqlite-pragma", "synchronous=FULL"),
    *("--sqlite-pragma", "cache_size=-2000"),
)
# What our own server would leave out of the schema.
ALL_INDEXES = "--all-visibility-indexes"


def start_server(directory: Path, *, tuned: bool) -> tuple[Process, str]:
    """The process and its address; state in `directory/temporal.db`."""
    directory.mkdir(parents=True, exist_ok=True)
    binary = asyncio.run(find_server_binary(print))
    port = free_port()
    command = [
        *(str(binary), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(port)),
        *("--headless", "--log-level", "error"),
        *("--db-filename", str(directory / "temporal.db")),
        *(server_flags() if tuned else DEFAULTS),
    ]
    if not tuned and binary.name == "temporal-dev":
        command.append(ALL_INDEXES)
    process = Process.start("engine", command, wait=False, log=directory / "server.log")
    address = f"127.0.0.1:{port}"
    asyncio.run(_wait(address))
    return process, address


async def _wait(address: str) -> None:
    await connect(address, timeout_seconds=60)


def describe_runs(address: str, workflow_type: str, sample: int = 50) -> dict[str, float]:
    """History events and state transitions of finished runs, on average."""
    return asyncio.run(_describe(address, workflow_type, sample))


async def _describe(address: str, workflow_type: str, sample: int) -> dict[str, float]:
    client: Client = await connect(address)
    deadline = time.monotonic() + 20
    query = f"WorkflowType = '{workflow_type}' AND ExecutionStatus = 'Completed'"
    events, transitions, seen = 0, 0, 0
    while not seen and time.monotonic() < deadline:
        async for run in client.list_workflows(query, page_size=sample):
            events += run.raw_info.history_length
            transitions += run.raw_info.state_transition_count
            seen += 1
            if seen == sample:
                break
    return {
        "history_events": events / max(seen, 1),
        "state_transitions": transitions / max(seen, 1),
    }


__all__ = ["TemporalUnreachable", "describe_runs", "start_server"]
