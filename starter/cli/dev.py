"""`emitonce dev`: everything in the foreground, for development."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from process import on_signals
from settings import Settings
from starter.cli.output import Json, console, print_line, say
from starter.dev.running_stack import DevPorts

if TYPE_CHECKING:
    from starter.dev.stack import DevStack

TemporalPort = Annotated[int, typer.Option(help="Port of the Temporal server; 0: any free one.")]
UiPort = Annotated[int, typer.Option(help="Port of the Temporal Web UI; 0: any free one.")]
SimulatorPort = Annotated[
    int, typer.Option(help="First port of the simulators, others follow; 0: any.")
]

HttpPort = Annotated[
    int | None,
    typer.Option(
        help="Port of the HTTP API; 0: any free one. Default: EMITONCE_HTTP_PORT, or 8080."
    ),
]


def dev(
    temporal_port: TemporalPort = DevPorts.temporal,
    ui_port: UiPort = DevPorts.ui,
    simulator_port: SimulatorPort = DevPorts.simulator,
    http_port: HttpPort = None,
    as_json: Json = False,
) -> None:
    """Start Temporal with Web UI, PostgreSQL, simulators of vendors, worker, API and console.

    Data lives in EMITONCE_DATA_DIR (default .emitonce/) and survives a restart. With --json one
    line of addresses is printed when all is up. Ctrl-C stops everything.
    """
    settings = Settings()
    ports = DevPorts(
        temporal=temporal_port,
        ui=ui_port,
        simulator=simulator_port,
        http=settings.http_port if http_port is None else http_port,
    )
    asyncio.run(_dev(settings, ports, as_json=as_json))


async def _dev(settings: Settings, ports: DevPorts, *, as_json: bool) -> None:
    from starter.dev.stack import open_dev_stack  # imports that other commands don't need

    stop = asyncio.Event()
    with on_signals(stop):
        async with open_dev_stack(settings, ports, say=say) as stack:
            if as_json:
                print_line(stack.addresses)
            else:
                await _welcome(stack)
            await stop.wait()
            say("stopping; requests in flight finish")


async def _welcome(stack: DevStack) -> None:
    addresses = stack.addresses
    console.print("[bold]emitonce is up.[/bold] Ctrl-C ends it.\n")
    for label, value in (
        ("Temporal", addresses["temporal"]),
        ("Web UI", addresses["ui"]),
        ("Console, signed in", addresses["console"]),
        ("HTTP API", f"{addresses['http']}/docs"),
        ("Customer.io simulator", addresses["simulator"]),
        ("PostgreSQL", addresses["database"]),
    ):
        if value:
            console.print(f"  {label:<22} {value}", markup=False, soft_wrap=True)
    console.print()
    catalog = stack.catalog
    if await catalog.workspaces.ids((await catalog.organizations.default()).id):
        return  # their first one would ask for a name that is taken
    console.print("Next, in another terminal:\n")
    for line in NEXT_STEPS:
        console.print(f"  {line}", markup=False, soft_wrap=True)
    console.print()


NEXT_STEPS = (
    "WORKSPACE=$(emitonce workspaces create --name 'My app' --json | jq -r .workspace.id)",
    'CONNECTION=$(emitonce connections create --workspace "$WORKSPACE" --name "Customer io" '
    "--region us --api-key sim-us-key --json | jq -r .connection.id)",
    'emitonce rules create --workspace "$WORKSPACE" --connection "$CONNECTION" '
    "--event user.signup --event-name-override 'Signed Up'",
    'emitonce emit --workspace "$WORKSPACE" --event user.signup '
    '--payload \'{"userId": "usr_2048", "email": "test@example.com"}\' --wait',
)
