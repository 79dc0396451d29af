"""Play six outages on real processes, and write down what an operator sees: `make outages`.

Exit code 1 when something that is said within two minutes isn't true.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from playwright.async_api import Page

from destinations.customerio.simulator import Fault
from emitonce.start import EventStarter
from operations.steering import resume_connection
from starter.cli.logs import configure_logs
from tests.chaos.world import EVENT, TASK_QUEUE, World, open_world, until
from tests.console.chromium import open_browser
from tests.console.site import Site
from tests.operations.alert_receiver import SECRET, Receiver, open_receiver

TOLD_WITHIN = 120.0
HEALED_WITHIN = 240.0
NAME = "Newsletter"
PICTURE = {"x": 0, "y": 0, "width": 1280, "height": 460}


@dataclass(frozen=True)
class Outage:
    """`expected`: state, whose part, words of the advice, and the alert, if one is sent."""

    key: str
    title: str
    state: str
    whose: str
    words: str
    alert: str | None
    cause: Callable[[Play], Awaitable[None]]
    heal: Callable[[Play], Awaitable[None]]


@dataclass
class Said:
    """What was said, and after how many seconds `status` did."""

    outage: Outage
    seconds: float = 0.0
    status: dict[str, Any] = field(default_factory=dict)
    words: str = ""
    doctor: list[str] = field(default_factory=list)
    doctor_code: int = 0
    banner: str = ""
    alerts: list[str] = field(default_factory=list)
    silent: float = 0.0

    def faults(self) -> list[str]:
        """What isn't true, or wasn't said."""
        outage, found = self.outage, []
        if self.status.get("state") != outage.state:
            found.append(f"status: {self.status.get('state')}, not {outage.state}")
        if outage.words not in self.status.get("advice", ""):
            found.append(f"advice without {outage.words!r}")
        if outage.whose not in self.words:
            found.append(f"status doesn't say {outage.whose}")
        if outage.words not in self.banner:
            found.append(f"banner without {outage.words!r}")
        if (self.doctor_code == 1) != (outage.state == "stuck") or not self.doctor:
            found.append(f"doctor: exit code {self.doctor_code}, {len(self.doctor)} findings")
        if outage.alert and outage.alert not in self.alerts:
            found.append(f"no alert {outage.alert}")
        if not outage.alert and set(self.alerts) - {"connection.recovered"}:
            found.append(f"alerts that nothing asks for: {self.alerts}")
        return found


@dataclass
class Play:
    """The stage: processes, a connection with a rule, a page that is open, a receiver of alerts."""

    world: World
    receiver: Receiver
    page: Page
    site: Site
    starter: EventStarter
    organization: str
    workspace: str
    connection: str
    sent: int = 0

    async def emit(self, count: int) -> None:
        async def one() -> None:
            self.sent += 1
            person = f"usr_{self.sent}"
            with contextlib.suppress(Exception):  # Temporal may be what is unavailable
                await asyncio.wait_for(
                    self.starter.start(self.workspace, EVENT, {"userId": person}), 5
                )

        for _ in range(0, count, 20):
            await asyncio.gather(*(one() for _ in range(min(20, count))))

    async def trickle(self) -> None:
        while True:
            await self.emit(1)
            await asyncio.sleep(2)

    async def status(self) -> dict[str, Any]:
        ended = await self.world.command("status", "--json")
        assert ended.code in (0, 1), ended.err
        found: dict[str, Any] = json.loads(ended.out)
        return found

    async def well(self) -> bool:
        return (await self.status())["state"] == "ok"

    async def change(self, **fields: Any) -> None:
        async with self.world.catalog() as catalog:
            await catalog.connections.update(self.organization, self.connection, **fields)
        await resume_connection(self.world.client, self.connection, task_queue=TASK_QUEUE)


async def vendor_fails(play: Play) -> None:
    await play.world.misbehave(Fault(status=503))


async def vendor_works(play: Play) -> None:
    await play.world.behave()


async def wrong_key(play: Play) -> None:
    await play.change(fields={"cdpApiKey": "a-key-of-yesterday"})


async def right_key(play: Play) -> None:
    await play.change(fields={"cdpApiKey": play.world.planted["api key"]})


async def flood(play: Play) -> None:
    await play.change(requests_per_second=4)
    await play.emit(400)


async def drained(play: Play) -> None:
    await play.change(requests_per_second=0)


async def kill_worker(play: Play) -> None:
    await play.world.end_workers()


async def start_worker(play: Play) -> None:
    await play.world.worker()


async def kill_postgres(play: Play) -> None:
    await play.world.kill_postgres()


async def start_postgres(play: Play) -> None:
    await play.world.start_postgres()


async def kill_temporal(play: Play) -> None:
    await play.world.server.stop()


async def start_temporal(play: Play) -> None:
    await play.world.start_server()


OUTAGES = (
    Outage(
        *("vendor", "The vendor answers 503", "stuck", "theirs"),
        *("Customer.io answers 503", "connection.failing", vendor_fails, vendor_works),
    ),
    Outage(
        *("key", "The key is refused", "stuck", "ours"),
        *("refuses the key", "connection.inactive", wrong_key, right_key),
    ),
    Outage(
        *("flood", "More events than the rate allows", "degraded", "ours"),
        *("events come in faster", None, flood, drained),
    ),
    Outage(
        *("worker", "The worker is killed", "stuck", "ours"),
        *("No worker is running", None, kill_worker, start_worker),
    ),
    Outage(
        *("postgresql", "PostgreSQL is killed", "stuck", "ours"),
        *("PostgreSQL doesn't answer", None, kill_postgres, start_postgres),
    ),
    Outage(
        *("temporal", "Temporal is stopped", "stuck", "ours"),
        *("Temporal doesn't answer", None, kill_temporal, start_temporal),
    ),
)


async def watch(play: Play, outage: Outage, pictures: Path) -> Said:
    said = Said(outage)
    before, began = len(play.receiver.alerts), time.monotonic()
    await outage.cause(play)

    def alerts() -> list[str]:
        return [alert["type"] for alert in play.receiver.alerts[before:]]

    while time.monotonic() < began + TOLD_WITHIN:
        said.status = await play.status()
        if said.status["state"] == outage.state and outage.words in said.status["advice"]:
            break
    said.seconds = time.monotonic() - began
    while outage.alert and outage.alert not in alerts():
        if time.monotonic() > began + TOLD_WITHIN:
            break
        await asyncio.sleep(0.5)
    said.words = (await play.world.command("status")).out
    doctor = await play.world.command("doctor", "--json")
    said.doctor_code = doctor.code
    said.doctor = [
        f"{one['state']} {one['matter']}: {one['said']}"
        for one in json.loads(doctor.out)["findings"]
        if one["state"] != "ok" and one["matter"] not in ("publishable keys", "retention")
    ]
    with contextlib.suppress(Exception):
        await play.page.get_by_text(outage.words).first.wait_for(timeout=30_000)
    said.banner = await play.page.locator("#banner").inner_text()
    await play.page.screenshot(path=pictures / f"outage-{outage.key}.png", clip=PICTURE)
    said.alerts = alerts()
    beats = play.receiver.beats
    await asyncio.sleep(20)
    said.silent = 20.0 if play.receiver.beats == beats else 0.0
    await outage.heal(play)
    await until(play.well, within=HEALED_WITHIN, what=f"{outage.key} heals")
    print(f"{outage.key}: {said.faults() or 'true'} after {said.seconds:.0f} s", flush=True)
    return said


@asynccontextmanager
async def open_play(directory: Path) -> AsyncIterator[Play]:
    async with AsyncExitStack() as opened:
        receiver = await opened.enter_async_context(open_receiver())
        world = await opened.enter_async_context(open_world(directory, Random(7)))
        world.env |= {
            "EMITONCE_ALERT_URL": receiver.url,
            "EMITONCE_ALERT_SECRET": SECRET,
            "EMITONCE_ALERT_HEARTBEAT_URL": receiver.url,
        }
        async with world.catalog() as catalog:
            organization = (await catalog.organizations.default()).id
            workspace = await catalog.workspaces.create(organization, name="Acme app")
            connection = await catalog.connections.create(
                organization,
                workspace=workspace.id,
                name=NAME,
                type="customer_io",
                fields={"region": "us", "cdpApiKey": world.planted["api key"]},
                created_by="outages",
            )
            await catalog.rules.create(
                organization,
                workspace=workspace.id,
                connection=connection.id,
                event=EVENT,
                metadata={"action": "track_event"},
                created_by="outages",
            )
            key = await catalog.machine_keys.create(organization, name="Ada", created_by="outages")
        await world.worker()
        await world.start_api()
        browser = await opened.enter_async_context(open_browser())
        secret = key.secret_key.get_secret_value()
        site = Site(None, world.api_url, key.key.access_key, secret)  # type: ignore[arg-type]
        page = await opened.enter_async_context(site.visitor(browser))
        await page.goto(f"{site.url}/w/{workspace.id}/events")
        starter = EventStarter(
            world.client, instance_secret=world.secrets["instance"], task_queue=TASK_QUEUE
        )
        play = Play(
            *(world, receiver, page, site, starter),
            *(organization, workspace.id, connection.id),
        )
        trickle = asyncio.create_task(play.trickle())
        try:
            yield play
        finally:
            trickle.cancel()


def written(all_said: list[Said]) -> str:
    """Write the page of the documentation."""
    lines = [
        "# Six outages, and what emitonce reports",
        "",
        "Made by `make outages`: each outage is played on real processes, with the simulator, "
        "while events come in; then it is repaired. The answers are those of the real commands "
        "and console page. *Judged* compares the state, whose side it is on, the cause, the exit "
        "code and the alert with what was played.",
        "",
        "| outage | `status` says | after | `doctor` | alert | judged |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for said in all_said:
        beat = "; the heartbeat falls silent" if said.silent else ""
        alert = ", ".join(f"`{name}`" for name in said.alerts) or "none"
        lines.append(
            f"| {said.outage.title} | **{said.status['state']}**, {said.outage.whose}: "
            f"{said.outage.words} | {said.seconds:.0f} s | exit code {said.doctor_code} | "
            f"{alert}{beat} | {'; '.join(said.faults()) or 'true'} |"
        )
    for said in all_said:
        lines += [
            "",
            f"## {said.outage.title}",
            "",
            said.status["advice"],
            "",
            *(f"* `doctor`: {one}" for one in said.doctor),
            "",
            f"![The console's banner](console/outage-{said.outage.key}.png)",
        ]
    return "\n".join(lines) + "\n"


async def main(page: Path, chosen: list[str]) -> int:
    pictures = page.parent / "console"
    with tempfile.TemporaryDirectory(prefix="outages-") as directory:
        async with open_play(Path(directory)) as play:
            await until(play.well, within=120, what="all is well at first")
            all_said: list[Said] = []
            for outage in OUTAGES:
                if not chosen or outage.key in chosen:
                    all_said.append(await watch(play, outage, pictures))
                    page.write_text(written(all_said))  # noqa: ASYNC240  (while nothing else runs)
    return int(any(said.faults() for said in all_said))


if __name__ == "__main__":
    configure_logs("error")
    sys.exit(asyncio.run(main(Path(sys.argv[1]), sys.argv[2:])))
