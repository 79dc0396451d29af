"""Run the tour: connection, rule, test event, outage, refusal, fan-out. It checks what it shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from catalog import Catalog
from catalog.connections import Connection
from catalog.rules import Rule
from delivery.delivery_log import CallLog
from delivery.result import Status
from destinations.customerio.simulator import EU_KEY, US_KEY, Fault, Simulator
from destinations.destination import Verdict
from destinations.slack.simulator import GENERAL, TOKEN
from destinations.webhook.simulator import SECRET, WebhookSimulator
from emitonce import EventHandle
from emitonce.errors import DeliveryFailed
from engine.links import run_url
from eventlog.fetch import read_event_log
from eventlog.log import EventLog
from starter.cli.dependencies import CREATED_BY
from starter.cli.tour_view import show_line, show_log, show_side_by_side, show_title

if TYPE_CHECKING:
    from starter.dev.stack import DevStack

EVENT = "user.signup"
OVERRIDE = "Signed Up"
PAYLOAD: dict[str, Any] = {
    "userId": "usr_2048",
    "email": "test@example.com",
    "first_name": "Test",
    "last_name": "User",
    "plan": "pro",
}
TEMPLATE = "*{{first_name}} {{last_name}}* signed up for the plan {{plan}}"
MESSAGE = "*Test User* signed up for the plan pro"
TRAITS = {name: value for name, value in PAYLOAD.items() if name != "userId"}


async def connect_customerio(
    catalog: Catalog, organization: str, workspace: str, region: str, key: str
) -> tuple[Connection, Rule]:
    """Create a connection to Customer.io, and the rule that sends the sample event through it."""
    return await _connect(
        catalog,
        organization,
        workspace,
        name=f"Customer io {region}",
        type="customer_io",
        fields={"region": region, "cdpApiKey": key},
        metadata={"action": "track_event", "event_name_override": OVERRIDE},
    )


async def _connect(
    catalog: Catalog,
    organization: str,
    workspace: str,
    *,
    name: str,
    type: str,
    fields: dict[str, str],
    metadata: dict[str, str],
) -> tuple[Connection, Rule]:
    connection = await catalog.connections.create(
        organization,
        workspace=workspace,
        name=name,
        type=type,
        fields=fields,
        created_by=CREATED_BY,
    )
    rule = await catalog.rules.create(
        organization,
        workspace=workspace,
        connection=connection.id,
        event=EVENT,
        metadata=metadata,
        created_by=CREATED_BY,
    )
    return connection, rule


# What the simulator's regions accept.
KEYS = {"us": US_KEY, "eu": EU_KEY}


@dataclass(frozen=True)
class Vendor:
    """A region of Customer.io, and a key for it."""

    region: str
    api_key: str


@dataclass
class Tour:
    """The tour on one stack. `faults` says in words what went wrong.

    The first event is sent to `vendor`, Customer.io itself; all others go to the simulator.
    `receiver` is what webhooks are sent to.
    """

    stack: DevStack
    receiver: WebhookSimulator
    vendor: Vendor | None = None
    events: list[EventLog] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    async def run(self) -> None:
        organization = (await self.stack.catalog.organizations.default()).id
        workspace = await self.stack.catalog.workspaces.create(organization, name="Demo")
        vendor = self.vendor or Vendor("us", KEYS["us"])
        connection, rule = await self._connect(organization, workspace.id, vendor)
        found = await self.stack.catalog.credentials.credential(workspace.id, connection.id)
        checked = await self.stack.clients[found.type].verify(found)
        show_line(f"key checked: {checked.message}")
        self._expect(checked.verdict is Verdict.RIGHT, f"the key: {checked.message}")
        await self._delivered(workspace.id, rule)
        if self.vendor is not None:
            # The rest causes failures on purpose, so it goes to the simulator.
            await self.stack.catalog.rules.set_active(organization, rule.id, False)
            other = "eu" if vendor.region == "us" else "us"
            await self._connect(organization, workspace.id, Vendor(other, KEYS[other]))
        await self._outage(workspace.id)
        await self._refused(workspace.id)
        await self._fanned_out(organization, workspace.id)

    async def _connect(
        self, organization: str, workspace: str, vendor: Vendor
    ) -> tuple[Connection, Rule]:
        show_title("Create the connection and the rule")
        connection, rule = await connect_customerio(
            self.stack.catalog, organization, workspace, vendor.region, vendor.api_key
        )
        show_line(f"connection {connection.name!r}, rule: {EVENT} is tracked as {OVERRIDE!r}")
        return connection, rule

    async def _delivered(self, workspace: str, rule: Rule) -> None:
        show_title("Send the test event")
        log = await self._emit(workspace)
        calls = self._calls(log)
        self._expect(log.status is Status.COMPLETED, f"the event is {log.status}")
        if [call.call for call in calls] != ["identify", "track"]:
            self.faults.append("a call was not made")
            return
        identify, track = calls
        for call in calls:
            self._expect(call.request.get("userId") == "usr_2048", f"{call.call}: userId")
            self._expect("timestamp" in call.request, f"{call.call}: no timestamp")
        self._expect(identify.request.get("traits") == TRAITS, "identify: traits")
        self._expect(track.request.get("event") == OVERRIDE, "track: event name")
        self._expect("properties" not in track.request, "track: properties")
        self._expect(log.deliveries[0].rule == rule.id, "the rule")
        self._expect(
            identify.attempts[-1].started_at <= track.attempts[0].started_at,
            "track came before identify",
        )

    async def _outage(self, workspace: str) -> None:
        show_title("The same during an outage: 503 twice, then 200")
        before = len(self._simulator.requests)
        self._simulator.fail("identify", fault=Fault(status=503), times=2)
        log = await self._emit(workspace)
        answers = [attempt.status_code for call in self._calls(log) for attempt in call.attempts]
        self._expect(log.status is Status.COMPLETED, f"the event is {log.status}")
        self._expect(answers == [503, 503, 200, 200], "three attempts at identify, one at track")
        sent = self._simulator.requests[before:]
        bodies = {request.raw for request in sent if request.call == "identify"}
        self._expect(len(bodies) == 1, "identical bodies over all attempts")
        self._expect([r.call for r in sent] == ["identify"] * 3 + ["track"], "the calls' order")

    async def _refused(self, workspace: str) -> None:
        show_title("Identify is refused: no track is sent")
        before = len(self._simulator.requests)
        self._simulator.fail(
            "identify",
            fault=Fault(status=400, body='{"meta": {"errors": ["refused by the demo"]}}'),
            times=1,
        )
        log = await self._emit(workspace)
        self._expect(log.status is Status.FAILED, f"the event is {log.status}")
        self._expect(
            [call.call for call in self._calls(log)] == ["identify"], "no track in the log"
        )
        sent = [request.call for request in self._simulator.requests[before:]]
        self._expect(sent == ["identify"], "no track at Customer.io")

    async def _fanned_out(self, organization: str, workspace: str) -> None:
        show_title("The same event to Customer.io, a webhook and Slack")
        connect = partial(_connect, self.stack.catalog, organization, workspace)
        await connect(
            name="Webhook",
            type="webhook",
            fields={"url": self.receiver.url, "signing_secret": SECRET},
            metadata={"action": "send_webhook"},
        )
        await connect(
            name="Slack",
            type="slack",
            fields={"access_token": TOKEN},
            metadata={"action": "send_message", "id": GENERAL, "template": TEMPLATE},
        )
        log = await self._emit(workspace, show=show_side_by_side)
        self._expect(log.status is Status.COMPLETED, f"the event is {log.status}")
        self._expect(log.completed_count == 3, f"{log.completed_count} deliveries, not three")
        received = self._received()
        self._expect([body["payload"] for body in received["webhook"]] == [PAYLOAD], "the webhook")
        self._expect(
            [message["text"] for message in received["slack"]] == [MESSAGE], "the message in Slack"
        )

    def _received(self) -> dict[str, list[Any]]:
        """Return what a webhook and Slack have accepted."""
        return {
            "webhook": list(self.receiver.service.messages.values()),
            "slack": self.stack.simulators["slack"].state()["messages"],
        }

    async def _emit(self, workspace: str, *, show: Callable[..., None] = show_log) -> EventLog:
        handle: EventHandle = await self.stack.emitter.emit(EVENT, PAYLOAD, workspace=workspace)
        show_line(f"accepted as event {handle.id}; waiting for its deliveries")
        try:
            await handle.result()
        except DeliveryFailed as failed:
            show_line(str(failed))
        log = await read_event_log(self.stack.client, handle.id)
        self.events.append(log)
        url = run_url(self.stack.ui, self.stack.client, log.event_id)
        show(log, url=url)
        show_line("")
        return log

    @property
    def _simulator(self) -> Simulator:
        simulator: Simulator = self.stack.simulators["customer_io"]
        return simulator

    def _calls(self, log: EventLog) -> Sequence[CallLog]:
        self._expect(bool(log.deliveries), "no rule matched")
        return log.deliveries[0].calls if log.deliveries else ()

    def _expect(self, condition: bool, what: str) -> None:
        if not condition:
            self.faults.append(what)

    def as_json(self) -> dict[str, Any]:
        return {
            "events": [log.model_dump(mode="json") for log in self.events],
            "requests": [request.as_json() for request in self._simulator.requests],
            "received": self._received(),
        }
