"""`emitonce replay`: does this code still replay what the cluster holds?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner

from engine.connect import connect
from engine.replay import replay as replay_histories
from settings import load_secrets
from starter.cli.errors import CommandFailed, Exit
from starter.cli.output import Json, console, print_json
from starter.cli.parts import CONNECT_SECONDS, cli_settings, require_temporal
from worker import WORKFLOWS, make_interceptors

MOST_NAMED = 20


@dataclass
class Replayed:
    """`failures`: by workflow id, why its history can't be replayed."""

    histories: int = 0
    failures: dict[str, str] = field(default_factory=dict)


def replay(
    closed_hours: Annotated[
        float, typer.Option(help="Runs that closed within so many hours, beside all open ones.")
    ] = 24,
    limit: Annotated[int, typer.Option(help="At most so many of each.")] = 1_000,
    as_json: Json = False,
) -> None:
    """Replay open and recent histories with this code, before it is deployed.

    Reads histories from the cluster and changes nothing. Exit code 1 when one can't be replayed:
    such a run would wait, its workflow tasks failing, for as long as this code works on it; or
    this code would send other bytes than the run has on record.
    """
    done = asyncio.run(_replay(timedelta(hours=closed_hours), limit))
    if as_json:
        print_json({"histories": done.histories, "failures": done.failures})
    else:
        for run, reason in list(done.failures.items())[:MOST_NAMED]:
            console.print(f"{run}: {reason}", markup=False, soft_wrap=True)
        console.print(
            f"{done.histories} histories replayed, {len(done.failures)} can't be", markup=False
        )
    if done.failures:
        raise CommandFailed(Exit.BAD)


async def _replay(closed_within: timedelta, limit: int) -> Replayed:
    settings = cli_settings()
    require_temporal(settings)
    client = await connect(
        timeout_seconds=CONNECT_SECONDS, keys=load_secrets(settings).payload_ring()
    )
    since = datetime.now(UTC) - closed_within
    queue = f"TaskQueue = '{settings.task_queue}'"
    done = Replayed()
    for query in (
        f"{queue} AND ExecutionStatus = 'Running'",
        f"{queue} AND CloseTime > '{since.isoformat()}'",
    ):
        await _replay_all(client, query, limit, done)
    return done


async def _replay_all(client: Client, query: str, limit: int, done: Replayed) -> None:
    histories = client.list_workflows(query, limit=limit).map_histories()
    async for history, failure in replay_histories(
        histories,
        workflows=WORKFLOWS,
        data_converter=client.data_converter,
        interceptors=make_interceptors(),
        runner=UnsandboxedWorkflowRunner(),
    ):
        done.histories += 1
        if failure is not None:
            told = str(failure).splitlines()
            done.failures[history.workflow_id] = told[0] if told else "unknown"
