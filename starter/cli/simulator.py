"""`emitonce simulator`: the simulators of all vendors by themselves."""

from __future__ import annotations

import asyncio
from itertools import chain, count, repeat
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx
import typer

from destinations.customerio.simulator import EU_KEY, US_KEY, Simulator
from destinations.simulators import Simulators, base_urls, open_simulators
from process import on_signals
from settings import Settings, SettingsError
from starter.cli.errors import CommandFailed, Exit
from starter.cli.moments import read_duration
from starter.cli.output import Json, console, print_line, say
from starter.dev.running_stack import running_stack

simulator = typer.Typer()

CUSTOMER_IO = 9100


@simulator.callback(invoke_without_command=True)
def run(
    ctx: typer.Context,
    host: Annotated[
        str,
        typer.Option(help="Address to listen on. Anyone who reaches it can set faults."),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port of Customer.io's region us, others follow; 0: any free ones.")
    ] = CUSTOMER_IO,
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
    if ctx.invoked_subcommand is not None:
        return
    second = eu_port if eu_port is not None else (port + 1 if port else 0)
    further = count(max(port, second) + 1) if port else repeat(0)

    async def serve() -> None:
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
        asyncio.run(serve())
    except OSError:
        raise SettingsError(
            f"port {port}, {second} or one of those after them is taken: choose others with "
            "--port and --eu-port"
        ) from None


Vendor = Annotated[str, typer.Option("--type", help="The vendor: a connection's type.")]
Url = Annotated[
    str | None,
    typer.Option(help="The simulator's address. Default: in the stack that runs here."),
]


@simulator.command("fault")
def fault(
    status: Annotated[int, typer.Argument(min=200, max=599, help="What it answers with.")],
    lasting: Annotated[
        str | None, typer.Option("--for", help="For how long, such as 30s or 1h. Default: always.")
    ] = None,
    times: Annotated[int | None, typer.Option(min=1, help="For how many requests.")] = None,
    call: Annotated[str, typer.Option(help="Only for this call, such as identify.")] = "*",
    type: Vendor = "customer_io",
    url: Url = None,
) -> None:
    """Make a running simulator answer with a fault. `emitonce simulator clear` ends it."""
    rule: dict[str, Any] = {"path": call, "fault": {"status": status}, "times": times}
    if lasting is not None:
        rule["seconds"] = read_duration(lasting, "--for").total_seconds()
    _steer("POST", type, url, rule)
    until = f" for {lasting}" if lasting else ""
    say(f"{type} answers {status}{until}")


@simulator.command("clear")
def clear(type: Vendor = "customer_io", url: Url = None) -> None:
    """End all faults of a running simulator."""
    _steer("DELETE", type, url, None)
    say(f"{type} has no faults")


def _steer(method: str, type: str, url: str | None, body: dict[str, Any] | None) -> None:
    base = url or _running(type)
    parts = urlsplit(base)
    address = f"{parts.scheme}://{parts.netloc}/_sim/faults"
    try:
        answer = httpx.request(method, address, json=body)
        told = {} if answer.is_success else answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        raise CommandFailed(Exit.UNAVAILABLE, f"no simulator answers at {base}") from None
    if told:
        raise CommandFailed(Exit.REFUSED, str(told.get("error", answer.status_code)))


def _running(type: str) -> str:
    """Return the simulator's address in the stack that runs here, else where it usually is."""
    stack = running_stack(Settings().data_dir)
    urls: dict[str, str] = stack["base_urls"] if stack else {}
    for name, url in urls.items():
        if name.partition(".")[0] == type:
            return url
    if stack or type != "customer_io":
        known = sorted({name.partition(".")[0] for name in urls})
        raise CommandFailed(
            Exit.NOT_FOUND,
            f"no simulator of {type} runs here"
            + (f"; there is {', '.join(known)}" if known else ": give --url"),
        )
    return f"http://127.0.0.1:{CUSTOMER_IO}"


def _welcome(simulators: Simulators) -> None:
    console.print("Simulators of vendors; Ctrl-C ends them.\n", markup=False)
    for simulator in simulators.values():
        for region, url in simulator.base_urls.items():
            name, key = f"{simulator.label} {region.upper()}", simulator.service.accepts(region)
            console.print(f"  {name:<16} {url}  {key}", markup=False)
        seen = f"{simulator.control_url}requests"
        console.print(f"  {'':<16} what it received: {seen}\n", markup=False)
