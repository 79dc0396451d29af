"""`emitonce replay`: does this code still replay what the cluster holds?"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from temporalio.worker import UnsandboxedWorkflowRunner

from engine.connect import connect
from engine.replay import replay as replay_histories
from key_provider import load_secrets
from starter.cli.dependencies import CONNECT_SECONDS, cli_settings, require_temporal
from starter.cli.errors import CommandFailed, Exit
from starter.cli.output import Json, console, print_answer
from worker import WORKFLOWS, make_interceptors

MOST_NAMED = 20


def replay(
    closed_hours: Annotated[
        float, typer.Option(help="Also runs that closed within this many hours.")
    ] = 24,
    limit: Annotated[int, typer.Option(help="At most this many of each.")] = 1_000,
    as_json: Json = False,
) -> None:
    """Replay open and recent histories with this code, before it is deployed.

    Reads histories from the cluster and changes nothing. Exit code 1 when one can't be replayed:
    its workflow tasks would fail for as long as this code works on it, or this code would send
    other bytes than the run has on record.
    """
    histories, failures = asyncio.run(_replay(timedelta(hours=closed_hours), limit))
    if not as_json:
        for run, reason in list(failures.items())[:MOST_NAMED]:
            console.print(f"{run}: {reason}", markup=False, soft_wrap=True)
    answer = {"histories": histories, "failures": failures}
    words = f"{histories} histories replayed, {len(failures)} failed"
    print_answer(answer, words, as_json=as_json)
    if failures:
        raise CommandFailed(Exit.BAD)


async def _replay(closed_within: timedelta, limit: int) -> tuple[int, dict[str, str]]:
    """Return the number of histories, and by workflow id why one can't be replayed."""
    settings = cli_settings()
    require_temporal(settings)
    client = await connect(
        timeout_seconds=CONNECT_SECONDS, keys=load_secrets(settings).payload_ring()
    )
    since = datetime.now(UTC) - closed_within
    queue = f"TaskQueue = '{settings.task_queue}'"
    number = 0
    failures: dict[str, str] = {}
    for query in (
        f"{queue} AND ExecutionStatus = 'Running'",
        f"{queue} AND CloseTime > '{since.isoformat()}'",
    ):
        async for history, failure in replay_histories(
            client.list_workflows(query, limit=limit).map_histories(),
            workflows=WORKFLOWS,
            data_converter=client.data_converter,
            interceptors=make_interceptors(),
            runner=UnsandboxedWorkflowRunner(),
        ):
            number += 1
            if failure is not None:
                failures[history.workflow_id] = str(failure).partition("\n")[0] or "unknown"
    return number, failures
