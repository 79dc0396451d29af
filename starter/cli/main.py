"""The command line `emitonce`: every command, and how its errors are told."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from emitonce.version import __version__
from engine.telemetry import forward_core_logs
from starter.cli import (
    api,
    demo,
    dev,
    doctor,
    emit,
    erase,
    export,
    redeliver,
    replay,
    sample_event,
    simulator,
    worker,
)
from starter.cli.alerts import alerts
from starter.cli.connections import connections
from starter.cli.errors import CommandFailed, exit_code
from starter.cli.events import events
from starter.cli.keys import keys
from starter.cli.output import console, remarks
from starter.cli.quotas import key_quota, workspace_quota
from starter.cli.rules import rules
from starter.cli.workspaces import workspaces
from starter.logs import configure_logs

app = typer.Typer(
    name="emitonce",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Exit codes: 0 done, 1 the answer is bad, 2 usage, 3 not found, 4 refused, "
    "5 a service is away, 6 settings.",
)


@app.callback(invoke_without_command=True)
def emitonce(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, help="Print which release this is.")
    ] = False,
) -> None:
    """Emit a product event once; it reaches Customer.io durably, identify first, then track."""
    if version:
        console.print(f"emitonce {__version__}", markup=False, highlight=False)
        raise typer.Exit


app.command("dev")(dev.dev)
app.command("demo")(demo.demo)
app.command("simulator")(simulator.simulator)
app.command("worker")(worker.worker)
app.command("api")(api.api)
app.command("migrate")(worker.migrate)
app.command("doctor")(doctor.doctor)
app.command("replay")(replay.replay)
app.command("emit")(emit.emit)
app.command("test-event")(sample_event.send_test_event)
app.command("redeliver")(redeliver.redeliver)
app.command("export")(export.export)
events.command("erase")(erase.events_erase)
workspaces.command("erase")(erase.workspaces_erase)
workspaces.command("quota")(workspace_quota)
keys.command("quota")(key_quota)
app.add_typer(workspaces, name="workspaces")
app.add_typer(connections, name="connections")
app.add_typer(rules, name="rules")
app.add_typer(events, name="events")
app.add_typer(alerts, name="alerts")
app.add_typer(keys, name="keys")


def main() -> None:
    """Entry point of the console script."""
    configure_logs()
    forward_core_logs()
    try:
        app()
    except CommandFailed as failed:
        if failed.args[0]:
            _tell(str(failed))
        sys.exit(failed.code)
    except Exception as err:
        code = exit_code(err)
        if code is None:
            raise
        _tell(str(err))
        sys.exit(code)


def _tell(message: str) -> None:
    remarks.print(f"error: {message}", style="red", markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
