"""One event to every destination at once: what goes wrong at one is no other's affair."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest_asyncio
from temporalio.client import Client

from delivery.delivery_log import DeliveryLog
from delivery.result import Status
from delivery.selection import Mode, select
from destinations.registry import BY_TYPE
from destinations.simulator import Fault
from destinations.webhook.simulator import WebhookSimulator
from emitonce import EventHandle
from eventlog.log import EventLog
from operations.send_again import send_again
from operations.steering import resume_connection
from tests.every_destination import Sample, samples
from tests.integration.stack import Stack, open_stack

DOWN, THROTTLING, WRONG_KEY = "hubspot", "slack", "resend"
WRONG = {"api_key": "re_revoked"}
IDENTIFIED_BEFORE = {
    one.type
    for one in BY_TYPE.values()
    if any("identify" in action.calls for action in one.actions)
}


@dataclass
class Fan:
    """A stack whose one event goes to a connection of each type. `connections` are by type."""

    stack: Stack
    simulators: Mapping[str, Any]
    samples: Mapping[str, Sample]
    connections: dict[str, str] = field(default_factory=dict)

    async def connect(self, wrong: Mapping[str, Mapping[str, str]] = {}) -> None:
        """Connect each type, those in `wrong` with other values than the simulator accepts."""
        of = (self.stack.catalog, self.stack.organization)
        for type, sample in self.samples.items():
            made = await sample.connect(*of, self.stack.workspace, type, **wrong.get(type, {}))
            await sample.rule(*of, made, "user.signup")
            self.connections[type] = made.id

    def deliveries(self, log: EventLog) -> dict[str, DeliveryLog]:
        return {str(delivery.integration_type): delivery for delivery in log.deliveries}

    async def log_when_all_but(self, handle: EventHandle, waiting: set[str]) -> EventLog:
        """Wait until all but some are delivered, and some still wait."""

        def holds(log: EventLog) -> bool:
            of = self.deliveries(log)
            done = {type for type, one in of.items() if one.status is Status.COMPLETED}
            return (
                bool(of)
                and done == of.keys() - waiting
                and all(of[type].calls and of[type].calls[0].attempt_count for type in waiting)
            )

        return await self.stack.log_when(handle, holds)

    def stored(self) -> dict[str, int]:
        """How many requests had an effect, by type."""
        return {
            type: sum(request.stored for request in simulator.requests)
            for type, simulator in self.simulators.items()
        }


@pytest_asyncio.fixture
async def fan(temporal: Client, database: str) -> AsyncIterator[Fan]:
    async with WebhookSimulator() as receiver:
        allowed = "{}:{}".format(*receiver.address)
        async with open_stack(temporal, database, allowed_private_hosts=allowed) as stack:
            yield Fan(stack, {**stack.simulators, "webhook": receiver}, samples(receiver.url))


async def test_what_fails_at_some_destinations_delays_no_other_and_heals_by_itself(
    fan: Fan,
) -> None:
    """One is down, one throttles, and one refuses the key."""
    assert fan.samples.keys() == BY_TYPE.keys()
    await fan.connect({WRONG_KEY: WRONG})
    await fan.simulators[DOWN].refuse_connections("")
    fan.simulators[THROTTLING].fail(fault=Fault(status=429, headers={"Retry-After": "1"}), times=2)
    handle = await fan.stack.emit()

    of = fan.deliveries(await fan.log_when_all_but(handle, {DOWN, WRONG_KEY}))
    for type in of.keys() - {DOWN, THROTTLING, WRONG_KEY}:
        attempts = [[attempt.outcome_code for attempt in call.attempts] for call in of[type].calls]
        assert attempts == [["delivered"]] * len(attempts), type
    throttled = of[THROTTLING].calls[0].attempts
    assert [one.outcome_code for one in throttled] == ["rate_limited", "rate_limited", "delivered"]
    assert of[WRONG_KEY].held is not None
    assert len(fan.simulators[WRONG_KEY].requests) == 1
    statuses = {
        type: (await fan.stack.catalog.connections.get(fan.stack.organization, id)).status
        for type, id in fan.connections.items()
    }
    assert {type for type, status in statuses.items() if status != "active"} == {WRONG_KEY}

    await fan.simulators[DOWN].accept_connections("")
    await fan.stack.catalog.connections.update(
        fan.stack.organization,
        fan.connections[WRONG_KEY],
        fields=dict(fan.samples[WRONG_KEY].fields),
    )
    await resume_connection(
        fan.stack.client, fan.connections[WRONG_KEY], task_queue=fan.stack.task_queue
    )
    log = await fan.stack.ended(handle)
    assert (log.status, log.completed_count) == (Status.COMPLETED, len(BY_TYPE))
    assert fan.stored() == {type: len(one.calls) for type, one in fan.deliveries(log).items()}


async def test_identify_only_identifies_where_there_is_an_identify_and_skips_the_others(
    fan: Fan,
) -> None:
    await fan.connect()
    first = await fan.stack.ended(await fan.stack.emit())
    assert first.status is Status.COMPLETED
    before = {type: len(one.requests) for type, one in fan.simulators.items()}
    now = datetime.now(UTC)
    chosen = select(
        fan.stack.workspace,
        accepted_from=now - timedelta(hours=1),
        now=now,
        mode=Mode.IDENTIFY_ONLY,
    )
    again = await send_again(fan.stack.client, first.event_id, chosen)
    await fan.stack.client.get_workflow_handle(again).result()
    reached = {type for type, one in fan.simulators.items() if len(one.requests) > before[type]}
    assert reached == IDENTIFIED_BEFORE
    log = await fan.stack.log(EventHandle(fan.stack.client, again))
    for type, delivery in fan.deliveries(log).items():
        assert [call.call for call in delivery.calls] == ["identify"] * (type in reached)
