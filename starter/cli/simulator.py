"""`emitonce simulator`: the simulators of all vendors by themselves."""

from __future__ import annotations

import asyncio
from itertools import chain, count, repeat
from typing import Annotated

import typer

from destinations.customerio.simulator import EU_KEY, US_KEY, Simulator
from destinations.simulators import Simulators, base_urls, open_simulators
from process import on_signals
from settings import SettingsError
from starter.cli.output import Json, console, print_line


def simulator(
    host: Annotated[
        str,
        typer.Option(help="Address to listen on. Anyone who reaches it can set faults."),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port of Customer.io's region us, others follow; 0: any free ones.")
    ] = 9100,
    eu_port: Annotated[
        int | None, typer.Option(help="Port of region eu (default: the next one).")
    ] = None,
    us_key: Annotated[list[str] | None, typer.Option(help="Key of region us; repeatable.")] = None,
    eu_key: Annotated[list[str] | None, typer.Option(help="Key of region eu; repeatable.")] = None,
    keep_requests: Annotated[
        int, typer.Option(min=1, help="How many of the latest requests each keeps.")
    ] = 10_000,
    as_json: Json = False,
) -> None:
    """Run a simulator of each vendor: /_sim/requests has what it received, /_sim/faults its faults.

    With --json one line of addresses is printed when they listen. Ctrl-C ends them.
    """
    second = eu_port if eu_port is not None else (port + 1 if port else 0)
    further = count(max(port, second) + 1) if port else repeat(0)

    async def run() -> None:
        stop = asyncio.Event()
        with on_signals(stop):
            async with open_simulators(
                chain((port, second), further),
                customer_io=Simulator(us_keys=us_key or [US_KEY], eu_keys=eu_key or [EU_KEY]),
                host=host,
                keep_requests=keep_requests,
            ) as simulators:
                if as_json:
                    own = simulators["customer_io"].base_urls
                    print_line({"ready": True, **own, "base_urls": base_urls(simulators)})
                else:
                    _welcome(simulators)
                await stop.wait()

    try:
        asyncio.run(run())
    except OSError:
        raise SettingsError(
            f"port {port}, {second} or one of those after them is taken: choose others with "
            "--port and --eu-port"
        ) from None


def _welcome(simulators: Simulators) -> None:
    console.print("Simulators of vendors; Ctrl-C ends them.\n", markup=False)
    for simulator in simulators.values():
        for region, url in simulator.base_urls.items():
            name, key = f"{simulator.label} {region.upper()}", simulator.service.accepts(region)
            console.print(f"  {name:<16} {url}  {key}", markup=False)
        seen = f"{simulator.control_url}requests"
        console.print(f"  {'':<16} what it received: {seen}\n", markup=False)
