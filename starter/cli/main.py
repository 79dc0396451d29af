"""The command line `emitonce`: every command, and how its errors are shown."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from emitonce.version import __version__
from starter.cli.commands import Commands
from starter.cli.errors import CommandFailed
from starter.cli.output import console, remarks

app = typer.Typer(
    name="emitonce",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Exit codes: 0 success, 1 a check or delivery failed, 2 wrong usage, 3 not found, "
    "4 refused, 5 a service is unavailable, 6 wrong settings.",
)


@app.callback(invoke_without_command=True)
def emitonce(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, help="Print which release this is.")
    ] = False,
) -> None:
    """Emit a product event once; it reaches its destinations durably, each call in order."""
    if version:
        console.print(f"emitonce {__version__}", markup=False, highlight=False)
        raise typer.Exit
    if ctx.invoked_subcommand is not None:
        from engine.telemetry import forward_core_logs  # imports that help doesn't need
        from starter.cli.logs import configure_logs

        configure_logs()
        forward_core_logs()


def main() -> None:
    """Entry point of the console script."""
    try:
        app()
    except CommandFailed as failed:
        if failed.args[0]:
            _report(str(failed))
        sys.exit(failed.code)
    except Exception as err:
        from starter.cli.exit_codes import exit_code  # it imports whatever can fail

        code = exit_code(err)
        if code is None:
            raise
        _report(str(err))
        sys.exit(code)


def _report(message: str) -> None:
    remarks.print(f"error: {message}", style="red", markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
