"""Every command of `emitonce`; its module is imported only when the command is run.

Help and the completion of names need only this table. The modules import the clients of Temporal,
HTTP and PostgreSQL, which takes a second.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup


class Place(NamedTuple):
    """`module` has a function or a `typer.Typer` named `attribute`; `line` is its help."""

    module: str
    attribute: str
    line: str


COMMANDS = {
    "dev": Place("dev", "dev", "Run Temporal, PostgreSQL, simulators, worker, API, console."),
    "demo": Place("demo", "demo", "Take the tour: a delivery, an outage, a refusal, a fan-out."),
    "simulator": Place("simulator", "simulator", "Run the simulators of all vendors."),
    "worker": Place("worker", "worker", "Deliver events until stopped."),
    "api": Place("api", "api", "Serve the HTTP API and the console until stopped."),
    "migrate": Place("worker", "migrate", "Bring the database to this version's schema."),
    "status": Place("status", "status", "Say whether deliveries are healthy, and what to do."),
    "doctor": Place("doctor", "doctor", "Check settings, keys, database, Temporal, clock."),
    "replay": Place("replay", "replay", "Replay histories with this code, before it ships."),
    "emit": Place("emit", "emit", "Emit one event."),
    "test-event": Place("sample_event", "send_test_event", "Send a sample event and wait for it."),
    "redeliver": Place("redeliver", "redeliver", "Deliver again what failed in a time range."),
    "export": Place("export", "export", "Export the log of every event that has ended."),
    "use": Place("use", "use", "Choose the workspace for commands that don't name one."),
    "open": Place("open_console", "open_console", "Open the console in a browser."),
    "workspaces": Place(
        "workspaces", "workspaces", "Workspaces: each has connections, rules, events."
    ),
    "connections": Place("connections", "connections", "Connections: each to one destination."),
    "rules": Place("rules", "rules", "Rules: which events go to which connection."),
    "mappings": Place("mappings", "mappings", "Mappings: which payload keys fill which fields."),
    "events": Place("events", "events", "Events: what happened to each, with every attempt."),
    "issues": Place("issues", "issues", "Issues: failed events by connection and reason."),
    "config": Place("config", "config", "Configuration as code: a file, compared and applied."),
    "people": Place("people", "people", "People: export or erase what is kept about one."),
    "alerts": Place("alerts", "alerts", "Alerts: where failures are reported."),
    "keys": Place("keys", "keys", "Keys: for the HTTP API, and for encryption."),
    "audit": Place("audit", "audit", "Audit: who changed what, and who signed in."),
    "mcp": Place("mcp", "mcp", "Serve tools for an assistant, over stdin and stdout."),
    "token": Place("token", "token", "Print a bearer token that is valid for a minute."),
}


class Commands(TyperGroup):
    """List what `COMMANDS` names, and load the one that is run."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {
            name: TyperCommand(name, short_help=place.line) for name, place in COMMANDS.items()
        }

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, listed, rest = super().resolve_command(ctx, args)
        return name, load(name) if name else listed, rest


def load(name: str) -> Any:
    """Import a command, or a group of them, as Click runs it."""
    place = COMMANDS[name]
    found = getattr(import_module(f"starter.cli.{place.module}"), place.attribute)
    only = typer.Typer(rich_markup_mode=None)
    if isinstance(found, typer.Typer):
        only.add_typer(found, name=name)
    else:
        only.command(name)(found)
    return typer.main.get_group(only).commands[name]
