"""`emitonce simulator`: the Customer.io simulator by itself."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from destinations.customerio.simulator import EU_KEY, US_KEY, Simulator
from process import on_signals
from settings import SettingsError
from starter.cli.output import Json, console, print_line


def simulator(
    host: Annotated[
        str,
        typer.Option(help="Address to listen on. Anyone who reaches it can set faults."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of region us; 0: any free one.")] = 9100,
    eu_port: Annotated[
        int | None, typer.Option(help="Port of region eu (default: the next one).")
    ] = None,
    us_key: Annotated[list[str] | None, typer.Option(help="Key of region us; repeatable.")] = None,
    eu_key: Annotated[list[str] | None, typer.Option(help="Key of region eu; repeatable.")] = None,
    keep_requests: Annotated[
        int, typer.Option(min=1, help="How many of the latest requests it keeps.")
    ] = 10_000,
    as_json: Json = False,
) -> None:
    """Run a simulated Customer.io: what it received is at /_sim/requests, faults at /_sim/faults.

    With --json one line of addresses is printed when it listens. Ctrl-C ends it.
    """
    second = eu_port if eu_port is not None else (port + 1 if port else 0)
    keys = {"us": us_key or [US_KEY], "eu": eu_key or [EU_KEY]}

    async def run() -> None:
        stop = asyncio.Event()
        with on_signals(stop):
            simulator = await Simulator.start(
                port,
                second,
                host=host,
                us_keys=keys["us"],
                eu_keys=keys["eu"],
                keep_requests=keep_requests,
            )
            if as_json:
                print_line({"ready": True, **simulator.base_urls})
            else:
                _welcome(simulator, keys)
            await stop.wait()
            await simulator.stop()

    try:
        asyncio.run(run())
    except OSError:
        raise SettingsError(
            f"port {port} or {second} is taken: choose others with --port and --eu-port"
        ) from None


def _welcome(simulator: Simulator, keys: dict[str, list[str]]) -> None:
    urls = simulator.base_urls
    console.print("Customer.io simulator; Ctrl-C ends it.\n", markup=False)
    for region, url in urls.items():
        console.print(f"  {region}  {url}  key {', '.join(keys[region])}", markup=False)
    seen = urls["us"].removesuffix("v1") + "_sim/requests"
    console.print(f"\n  what it received: {seen}\n", markup=False)
