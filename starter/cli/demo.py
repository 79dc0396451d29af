"""`emitonce demo`: run the product page's tour on a real stack."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from destinations.customerio.destination import read_api_key
from destinations.webhook.simulator import WebhookSimulator
from process import on_signals
from settings import Settings, SettingsError
from starter.cli.errors import CommandFailed, Exit
from starter.cli.logs import configure_logs
from starter.cli.output import Json, console, print_json, say
from starter.cli.tour import Tour, Vendor
from starter.cli.tour_view import show_end
from starter.dev.running_stack import DevPorts


def demo(
    once: Annotated[
        bool,
        typer.Option(
            "--once", help="Exit after the tour; the exit code is 0 if all checks passed."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Create a connection and a rule, send a test event, cause an outage and a refusal, and send
    the same event to three destinations.

    No outside service is called, unless CUSTOMERIO_CDP_API_KEY (and CUSTOMERIO_REGION, us or eu) is
    set: then the first event goes to Customer.io itself. With --json the events' logs and the
    requests that the simulator received are printed.
    """
    configure_logs("error")  # it causes failures on purpose and shows them itself
    console.quiet = as_json
    with tempfile.TemporaryDirectory(prefix="emitonce-demo-") as data_dir:
        settings = Settings().model_copy(
            update={
                "data_dir": Path(data_dir),
                "base_urls": {},
                "customerio_url_us": None,
                "customerio_url_eu": None,
            }
        )
        asyncio.run(_demo(settings, _vendor(), once=once, as_json=as_json))


async def _demo(settings: Settings, vendor: Vendor | None, *, once: bool, as_json: bool) -> None:
    from starter.dev.stack import open_dev_stack  # imports that other commands don't need

    ports = DevPorts(temporal=0, ui=0, simulator=0, http=0)
    stop = asyncio.Event()
    with on_signals(stop):
        say("starting Temporal, PostgreSQL, the vendors' simulators and a worker")
        async with (
            WebhookSimulator() as receiver,
            open_dev_stack(
                settings.model_copy(
                    update={"allowed_private_hosts": frozenset({receiver.address})}
                ),
                ports,
                say=say,
                vendor_region=vendor.region if vendor else None,
            ) as stack,
        ):
            tour = Tour(stack, receiver, vendor)
            touring = asyncio.create_task(tour.run())
            stopping = asyncio.create_task(stop.wait())
            stopping.add_done_callback(lambda _: touring.cancel())
            await asyncio.wait([touring])
            if touring.cancelled():
                return
            touring.result()
            show_end(stack, tour.faults)
            if as_json:
                print_json(tour.as_json())
            if not once:
                say("the stack stays up until Ctrl-C")
                await stop.wait()
    if once and tour.faults:
        raise CommandFailed(Exit.BAD, "these checks failed: " + "; ".join(tour.faults))


def _vendor() -> Vendor | None:
    key = os.environ.get("CUSTOMERIO_CDP_API_KEY")
    if not key:
        return None
    region = os.environ.get("CUSTOMERIO_REGION", "us").lower()
    if region not in ("us", "eu"):
        raise SettingsError("CUSTOMERIO_REGION: must be us or eu")
    try:
        key = read_api_key(key)
    except ValueError as err:
        raise SettingsError(f"CUSTOMERIO_CDP_API_KEY: {err}") from None
    return Vendor(region, key)
