"""Lists say why events failed; what failed for one reason is delivered again, and nothing else."""

from __future__ import annotations

import asyncio
import json
import shlex
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from temporalio.client import Client

from catalog.connections import Connection
from delivery import search_attributes as names
from delivery.reason import REASON
from delivery.selection import InvalidSelection, Mode, Selection, select
from destinations.customerio.simulator import EU_KEY, Fault
from destinations.headlines import headline_of, headline_of_failures
from destinations.registry import this_release
from emitonce import EventHandle
from engine.search_attributes import register_search_attributes
from eventlog.issues import Issues, find_issues
from eventlog.listed_event import ListedEvent
from eventlog.query import EventQuery, NotSearchable
from operations.bulk_redelivery import plan_redelivery, start_redelivery, watch_redelivery
from operations.event_redelivery import redeliver
from operations.namespace_checks import check_namespace
from operations.steering import resume_connection
from starter.issue_objects import WorkspaceIssues, workspace_issues
from tests.api.caller import open_api
from tests.guarantees.test_found_by_person import namespace_of
from tests.integration.stack import Stack, eventually, is_held, open_stack
from tests.operations.processes import command
from worker import open_worker

BAD_EMAIL = '{"errors": [{"field": "traits.email", "message": "value is not a valid email"}]}'
BAD_EVENT = '{"meta": {"errors": ["event must be a string"]}}'
REFUSED = "Customer.io refused `email` (400)"


def refusing(answer: str) -> Fault:
    return Fault(status=400, body=answer)


async def failed(stack: Stack, answer: str, event: str = "user.signup") -> EventHandle:
    """Emit an event that is refused with this answer."""
    stack.sim.clear_faults()
    stack.sim.fail("identify", fault=refusing(answer))
    handle = await stack.emit(event)
    await stack.ended(handle)
    stack.sim.clear_faults()
    return handle


async def listed(stack: Stack, handle: EventHandle) -> ListedEvent:
    run = await stack.client.get_workflow_handle(handle.id).describe()
    return await ListedEvent.of(run)


async def issues(stack: Stack, *, events: int) -> Issues:
    """Read the issues once lists know of so many failed events."""

    async def read() -> Issues:
        return await find_issues(stack.client, EventQuery((stack.workspace,)))

    async def known() -> bool:
        return (await read()).failed == events

    await eventually(known)
    return await read()


async def here(stack: Stack) -> WorkspaceIssues:
    return await workspace_issues(
        stack.client,
        stack.catalog,
        stack.organization,
        stack.workspace,
        accepted_from=None,
        accepted_to=None,
    )


async def redelivered(stack: Stack, selection: Selection | None) -> int:
    """Deliver a selection again; return how many events it was."""
    assert selection is not None
    plan = await plan_redelivery(stack.client, selection)
    started = await start_redelivery(stack.client, plan, task_queue=stack.task_queue)
    async with asyncio.timeout(60):
        [*_, last] = [one async for one in watch_redelivery(stack.client, started.id)]
    assert last.progress is not None
    assert last.progress.skipped == 0
    return plan.matched


async def test_a_refused_event_says_why_everywhere_it_is_shown(stack: Stack) -> None:
    await stack.rule()
    handle = await failed(stack, BAD_EMAIL)
    log = await stack.log(handle)
    whole = "Customer.io refused `email`: value is not a valid email"
    assert headline_of(log.deliveries[0]) == whole
    assert headline_of_failures((await listed(stack, handle)).failures) == REFUSED
    await issues(stack, events=1)
    async with open_api(stack) as api:
        shown = (await api.get(f"/events/{handle.id}")).json()
        assert shown["rule_events"][0]["headline"] == whole
        page = (await api.get(f"/workspaces/{stack.workspace}/events")).json()
        assert [record["headline"] for record in page["records"]] == [REFUSED]
    asked = ("events", "list", "--workspace", stack.workspace, "--json")
    [record] = json.loads((await command(stack, *asked)).out)["records"]
    assert record["headline"] == REFUSED
    assert whole in " ".join((await command(stack, "events", "show", handle.id)).out.split())


async def test_the_reason_has_codes_only(stack: Stack) -> None:
    """Neither the vendor's words nor a key of the payload are kept where anyone can read them."""
    rule = await stack.rule()
    told = {"field": "traits.janes_diary", "reason": "jane@example.com", "message": "is bad"}
    handle = await failed(stack, json.dumps({"errors": [told]}))
    run = await stack.client.get_workflow_handle(handle.id).describe()
    written = run.typed_search_attributes[names.REASON]
    assert written == f"{rule.connection}/rejected_client_error/400//traits/customer_io"


async def test_what_failed_before_any_request_has_a_reason_too(stack: Stack) -> None:
    await stack.rule()
    handle = await stack.emit(payload={"userId": ["usr_2048"]})
    await stack.ended(handle)
    told = "The event can't be sent to Customer.io because of `userId`"
    assert headline_of_failures((await listed(stack, handle)).failures) == told
    said = headline_of((await stack.log(handle)).deliveries[0])
    assert said is not None
    assert said.startswith(f"{told}: is a list")


async def two_connections(stack: Stack) -> tuple[Connection, Connection]:
    one = await stack.connection("One")
    other = await stack.connection("Other", region="eu", api_key=EU_KEY)
    return one, other


async def test_issues_group_failures_by_connection_and_reason(stack: Stack) -> None:
    one, other = await two_connections(stack)
    await stack.rule(one)
    await stack.rule(one, "both")
    await stack.rule(other, "both")
    first = await failed(stack, BAD_EMAIL)
    last = await failed(stack, BAD_EMAIL)
    await failed(stack, BAD_EVENT)
    both = await failed(stack, BAD_EMAIL, "both")
    await stack.ended(await stack.emit())  # delivered, so it is part of none
    found = await issues(stack, events=4)
    assert [(i.failure.connection, i.failure.reason.field, i.events) for i in found.issues] == [
        (one.id, "email", 3),
        *sorted([(one.id, "event", 1), (other.id, "email", 1)]),
    ]
    assert (found.unexplained, found.complete) == (0, True)
    at_one = found.issues[0]
    assert at_one.last_event.event_id == both.id
    assert at_one.first_at == (await stack.log(first)).completed_at
    assert at_one.first_at < (await stack.log(last)).completed_at < at_one.last_at  # type: ignore[operator]
    few = await find_issues(stack.client, EventQuery((stack.workspace,)), most=2)
    assert (few.failed, few.complete) == (2, False)


async def test_redelivering_an_issue_redelivers_exactly_what_failed_for_it(stack: Stack) -> None:
    one, other = await two_connections(stack)
    await stack.rule(one)
    await stack.rule(one, "both")
    await stack.rule(other, "both")
    mine = [await failed(stack, BAD_EMAIL), await failed(stack, BAD_EMAIL, "both")]
    foreign = [await failed(stack, BAD_EVENT), await failed(stack, BAD_EVENT, "both")]
    await issues(stack, events=4)
    read = await here(stack)
    wanted = (one.id, "email")
    [issue] = [
        i for i in read.found.issues if (i.failure.connection, i.failure.reason.field) == wanted
    ]
    before = len(stack.sim.requests)
    assert await redelivered(stack, read.redelivery(issue)) == 2
    for handle in mine:
        await stack.ended(handle)
    # Of each event, identify and track at that connection only.
    assert [request.region for request in stack.sim.requests[before:]] == ["us"] * 4
    for handle in foreign:
        assert {d.attempt_count for d in (await stack.log(handle)).deliveries} == {1}
    found = await issues(stack, events=3)
    assert {i.failure.connection for i in found.issues if i.failure.reason.field == "email"} == {
        other.id
    }


async def test_rules_of_one_connection_that_failed_for_other_reasons_stay_as_they_are(
    stack: Stack,
) -> None:
    one = await stack.connection()
    for _ in range(2):
        await stack.rule(one)
    for number, answer in enumerate((BAD_EMAIL, BAD_EVENT), 1):
        stack.sim.fail("identify", fault=refusing(answer), nth=(number,))
    handle = await stack.emit()
    await stack.ended(handle)
    await issues(stack, events=1)
    read = await here(stack)
    [issue] = [i for i in read.found.issues if i.failure.reason.field == "email"]
    before = len(stack.sim.requests)
    await redelivered(stack, read.redelivery(issue))
    log = await stack.ended(handle)
    assert [request.call for request in stack.sim.requests[before:]] == ["identify", "track"]
    assert sorted(delivery.status for delivery in log.deliveries) == ["completed", "failed"]
    assert [f.reason.field for f in (await listed(stack, handle)).failures] == ["event"]


async def test_an_event_redelivered_since_belongs_to_no_issue_until_it_fails_again(
    stack: Stack,
) -> None:
    await stack.rule()
    handle = await failed(stack, BAD_EMAIL)
    await issues(stack, events=1)
    stack.sim.fail("identify", fault=refusing(BAD_EVENT))
    await redeliver(stack.client, handle.id)
    await stack.ended(handle)
    stack.sim.clear_faults()

    async def regrouped() -> bool:
        found = await find_issues(stack.client, EventQuery((stack.workspace,)))
        return [one.failure.reason.field for one in found.issues] == ["event"]

    await eventually(regrouped)
    await redeliver(stack.client, handle.id)
    await stack.ended(handle)
    await issues(stack, events=0)
    assert (await listed(stack, handle)).failures == ()  # it was delivered in the end


async def test_an_issue_of_a_deleted_connection_is_shown_but_cannot_be_redelivered(
    stack: Stack,
) -> None:
    connection = await stack.connection("Gone")
    await stack.rule(connection)
    await failed(stack, BAD_EMAIL)
    await issues(stack, events=1)
    await stack.catalog.connections.delete(stack.organization, connection.id, force=True)
    async with open_api(stack) as api:
        answer = (await api.get(f"/workspaces/{stack.workspace}/issues")).json()
        [issue] = answer["records"]
        assert (issue["headline"], issue["connection"]) == (REFUSED, connection.id)
        assert not {"connection_name", "redelivery"} & issue.keys()
    out = (await command(stack, "issues", "list", "--workspace", stack.workspace)).out
    assert "deleted" in out


async def test_an_issue_s_redelivery_is_planned_and_started_by_sending_it(stack: Stack) -> None:
    await stack.rule()
    await failed(stack, BAD_EMAIL)
    await failed(stack, BAD_EVENT)
    await issues(stack, events=2)
    async with open_api(stack) as api:
        answer = (await api.get(f"/workspaces/{stack.workspace}/issues")).json()
        assert (answer["failed"], answer["complete"], answer["unexplained"]) == (2, True, 0)
        [issue] = [one for one in answer["records"] if one["error_field"] == "email"]
        assert (issue["events"], issue["connection_name"]) == (1, "Customer io")
        plan = await api.post("/redeliveries", {**issue["redelivery"], "dry_run": True})
        assert plan.json()["matched"] == 1
        path = f"/workspaces/{stack.workspace}/events"
        only = {"connection": issue["connection"], "reason": issue["reason"]}
        page = (await api.get(f"{path}?{urlencode(only)}")).json()
        assert [one["id"] for one in page["records"]] == [issue["last_event"]["id"]]
        for wrong in ({**only, "reason": "x"}, {"reason": issue["reason"]}):
            assert (await api.get(f"{path}?{urlencode(wrong)}")).status_code == 400
        assert (await api.post("/redeliveries", issue["redelivery"])).status_code == 202


async def test_the_command_that_issues_print_selects_what_they_have_counted(stack: Stack) -> None:
    rule = await stack.rule()
    handle = await failed(stack, BAD_EMAIL)
    owned = (stack.organization, rule.connection)
    await stack.catalog.connections.pause(*owned)
    later = await stack.emit()  # accepted before they are read, failed afterwards
    await stack.log_when(later, is_held)
    await issues(stack, events=1)
    here = ("--workspace", stack.workspace)
    said = (await command(stack, "issues", "list", *here)).err
    [printed] = [line for line in said.splitlines() if line.startswith("redeliver 1: emitonce ")]
    words = shlex.split(printed.partition(": emitonce ")[2])

    stack.sim.fail("identify", fault=refusing(BAD_EMAIL))
    await stack.catalog.connections.resume(*owned)
    await resume_connection(stack.client, rule.connection, task_queue=stack.task_queue)
    await stack.ended(later)
    await issues(stack, events=2)
    plan = json.loads((await command(stack, *words, "--dry-run", "--json")).out)
    assert (plan["matched"], plan["sample"][0]["id"]) == (1, handle.id)

    reason = words[words.index("--reason") + 1]
    listing = ("events", "list", *here, "--json", "--reason")
    page = await command(stack, *listing, reason, "--connection", rule.connection)
    assert [one["id"] for one in json.loads(page.out)["records"]] == [later.id, handle.id]
    for wrong in ((reason,), ("nonsense", "--connection", rule.connection)):
        assert (await command(stack, *listing, *wrong)).code == 2


@pytest.mark.parametrize(
    "chosen",
    [
        {"reason": "nonsense", "connection": "c"},
        {"reason": "timeout///"},
        {"reason": "timeout///", "connection": "c", "mode": Mode.AGAIN},
    ],
)
def test_a_reason_that_selects_nothing_is_refused(chosen: dict[str, Any]) -> None:
    now = datetime.now(UTC)
    with pytest.raises(InvalidSelection, match="reason"):
        select("w", now=now, accepted_from=now - timedelta(hours=1), **chosen)


def test_a_selection_without_a_reason_keeps_its_id() -> None:
    """Releases that know no reasons make the id too, and name redeliveries that run by it."""
    at = datetime(2026, 11, 1, tzinfo=UTC)
    bare = Selection(workspace="w", accepted_from=at, accepted_to=at, as_of=at)
    assert bare.id == "b3bbe31a-f4b1-8dd3-abd7-eb1e00831d5a"
    assert bare.model_copy(update={"reason": "timeout///"}).id != bare.id


async def test_reasons_wait_for_the_last_worker_that_does_not_record_them(stack: Stack) -> None:
    """A run with a command that an older worker would not make could not continue there."""
    await stack.rule()
    known = this_release()
    features = tuple(one for one in known.features if one != REASON)
    stack.fleet = known.model_copy(update={"features": features})
    assert (await listed(stack, await failed(stack, BAD_EMAIL))).failures == ()
    stack.fleet = known
    assert (await listed(stack, await failed(stack, BAD_EMAIL))).failures != ()
    found = await issues(stack, events=2)
    assert (len(found.issues), found.unexplained) == (1, 1)


@pytest.mark.slow
async def test_a_namespace_without_room_delivers_and_says_that_reasons_are_missing(
    temporal: Client, database: str
) -> None:
    client = await namespace_of(temporal, room=1, keywords=0)
    assert await register_search_attributes(client) == [names.PEOPLE.name]
    async with (
        open_stack(client, database, working=False) as stack,
        open_worker(client, stack.catalog, stack.clients, stack.settings),
    ):
        connection = await stack.connection()
        await stack.rule(connection)
        await failed(stack, BAD_EMAIL)
        assert (await issues(stack, events=1)).unexplained == 1
        assert await stack.catalog.workers.in_use_since(REASON) is None
        now = datetime.now(UTC)
        selection = select(
            stack.workspace,
            now=now,
            accepted_from=now - timedelta(hours=1),
            connection=connection.id,
            reason="timeout///",
        )
        with pytest.raises(NotSearchable, match="EmitonceReason"):
            await plan_redelivery(client, selection)
        findings = [one async for one in check_namespace(client, stack.task_queue)]
        [said] = [one for one in findings if one.matter == "search attributes"]
        assert (said.state, "why events failed" in said.said) == ("warning", True)
