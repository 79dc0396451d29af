"""A workspace in which something has happened, and every page that shows it."""

from __future__ import annotations

from dataclasses import dataclass

from catalog.api_key_rights import KeyRights
from delivery.selection import Mode
from destinations.customerio.simulator import EU_KEY, Fault
from emitonce.ids import person_hash
from eventlog.log import EventLog
from operations.bulk_redelivery import plan_redelivery, start_redelivery, watch_redelivery
from tests.integration.stack import SAMPLE, SECRET, Stack
from tests.operations.many import of_the_last_hour, visible

EVENTS = ("user.signup", "feature.used", "trial.started", "user.signup", "invoice.paid")


@dataclass(frozen=True)
class Populated:
    """Ids of what there is to look at."""

    connection: str
    rule: str
    retried: str
    failed: str
    open: str
    without_rule: str
    redelivery: str
    person: str

    def pages(self) -> dict[str, str]:
        """Each page of the console by name, with its path in the workspace."""
        return {
            "events": "/events",
            "event-retried": f"/events/{self.retried}",
            "event-failed": f"/events/{self.failed}",
            "event-under-way": f"/events/{self.open}",
            "event-without-rule": f"/events/{self.without_rule}",
            "issues": "/issues",
            "issue-redelivery": f"/redeliveries/new?plan=1&mode=failed&from=2026-01-01T00:00:00"
            f"&connection={self.connection}&reason=rejected_client_error/400//event",
            "connections": "/connections",
            "new-connection": "/connections/new",
            "connection": f"/connections/{self.connection}",
            "rules": "/rules",
            "new-rule": "/rules/new",
            "rule": f"/rules/{self.rule}",
            "redeliveries": "/redeliveries",
            "new-redelivery": "/redeliveries/new?plan=1&mode=failed&from=2026-01-01T00:00:00",
            "redelivery": f"/redeliveries/{self.redelivery}",
            "keys": "/keys",
            "person": f"/people/{self.person}",
            "not-found": "/rules/00000000-0000-4000-8000-000000000000",
        }


async def populate(stack: Stack, *, rounds: int = 2) -> Populated:
    connection = await stack.connection("Customer io")
    europe = await stack.connection("EU marketing", api_key=EU_KEY, region="eu")
    rule = await stack.rule(connection, override="Signed Up", accept="backend")
    await stack.rule(connection, "feature.used", resource="project")
    await stack.rule(europe, "trial.started")
    second = await stack.rule(europe, "user.signup")
    await stack.catalog.publishable_keys.create(
        stack.organization,
        workspace=stack.workspace,
        name="Web page",
        created_by="test",
        rights=KeyRights.of(["page.viewed"], ["https://www.example.com"], "anonymous"),
    )
    emitted = [
        await stack.emit(
            event,
            {"userId": f"usr_{place}_{index}", "email": f"person{index}@example.com"},
            resource="project" if event == "feature.used" else "global",
        )
        for place in range(rounds)
        for index, event in enumerate(EVENTS)
    ]
    for handle in emitted:
        await stack.ended(handle)
    again = await _sent_again(stack, "feature.used", rounds)
    only = [rule.id]
    stack.sim.fail("identify", fault=Fault(status=503, body='{"error": "overloaded"}'), times=1)
    retried = await stack.emit(payload=SAMPLE, only_rules=only)
    await stack.ended(retried)
    refusal = '{"meta": {"errors": ["<b>event</b> is not a name that is taken"]}}'
    stack.sim.fail("track", fault=Fault(status=400, body=refusal), times=1)
    failed = await stack.emit(payload=SAMPLE, only_rules=only)
    await stack.ended(failed)
    stack.sim.fail("identify", fault=Fault(status=503, body='{"error": "overloaded"}'))
    under_way = await stack.emit(payload=SAMPLE, only_rules=[rule.id, second.id])
    await stack.log_when(under_way, _tried_twice)
    return Populated(
        connection=connection.id,
        rule=rule.id,
        retried=retried.id,
        failed=failed.id,
        open=under_way.id,
        without_rule=emitted[4].id,
        redelivery=again,
        person=person_hash(SECRET, stack.workspace, "usr_2048"),
    )


async def _sent_again(stack: Stack, event: str, count: int) -> str:
    """A redelivery, through to the end."""
    await visible(stack, f"ExecutionStatus = 'Completed' AND EmitonceEvent = '{event}'", count)
    selection = of_the_last_hour(stack, event=event, mode=Mode.AGAIN)
    plan = await plan_redelivery(stack.client, selection)
    await start_redelivery(stack.client, plan, task_queue=stack.task_queue)
    async for status in watch_redelivery(stack.client, plan.id):
        assert status.state != "failed"
    await visible(stack, f"ExecutionStatus = 'Completed' AND EmitonceEvent = '{event}'", 2 * count)
    return plan.id


def _tried_twice(log: EventLog) -> bool:
    return any(
        delivery.identify is not None and delivery.identify.attempt_count >= 2
        for delivery in log.deliveries
    )
