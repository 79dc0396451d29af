"""What is erased is gone: open or ended, from the server, from lists and from the catalog."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from catalog.erasure import TABLES, erase_workspace
from catalog.errors import NotFound
from catalog.scopes import MANAGE
from delivery.result import Status
from delivery.selection import Mode, select
from destinations.customerio.simulator import Fault
from emitonce import EventHandle, InvalidEvent
from emitonce.ids import person_hash
from eventlog.fetch import EventNotFound
from eventlog.log import EventLog
from operations.bulk_redelivery import plan_redelivery, start_redelivery, watch_redelivery
from operations.erasure import erase_events
from operations.event_redelivery import redeliver
from operations.person_events import erase_person, person_events
from starter.api.routes.people import MOST_ERASING
from tests.api.caller import Machine, open_api
from tests.chaos.processes import run_command
from tests.integration.stack import SECRET, Stack, eventually, waits
from tests.operations.processes import command, environment_of

UNKNOWN = "5f0c6a1e-3c1b-4d7e-9a51-0d6f2b8c7e44"


@pytest.mark.timeout(240)
@pytest.mark.slow
async def test_what_is_erased_is_gone_and_nothing_else(stack: Stack) -> None:
    """Both commands at once, since the server takes its time to delete."""
    await stack.rule()
    redelivered, kept = await _redelivered_event(stack), await stack.emit()
    going = dataclasses.replace(
        stack,
        workspace=(await stack.catalog.workspaces.create(stack.organization, name="Going")).id,
    )
    await going.rule()
    ended = [await going.emit() for _ in range(12)]
    for handle in (kept, *ended):
        await stack.ended(handle)
    stack.sim.fail("identify", fault=Fault(status=503, headers={"Retry-After": "2"}))
    waiting = [await going.emit(), await stack.emit(), await stack.emit(payload={"userId": "kept"})]
    for handle in waiting:
        await stack.log_when(handle, waits)

    chosen = [redelivered.id, waiting[1].id]
    for asking in (("events", "erase", *chosen), ("workspaces", "erase", going.workspace)):
        asked = await command(stack, *asking)
        assert (asked.code, "--yes" in asked.err) == (4, True)
    assert (await stack.log(redelivered)).status is Status.COMPLETED
    environment = environment_of(stack)
    events, workspace = await asyncio.gather(
        run_command("events", "erase", *chosen, UNKNOWN, "--yes", "--json", env=environment),
        run_command("workspaces", "erase", going.workspace, "--yes", "--json", env=environment),
    )

    said = json.loads(events.out)
    assert (events.code, said["erased"], said["unknown"]) == (3, chosen, [UNKNOWN])
    assert {"the destinations", "exports"} <= {place["where"] for place in said["remains"]}
    assert workspace.code == 0, workspace.err
    said = json.loads(workspace.out)
    assert said["events"] == len(ended) + 1
    assert {table: rows for table, rows in said["rows"].items() if rows} == {
        "rules": 1,
        "connections": 1,
        "event_types": 1,
        "publishable_keys": 1,
        "workspaces": 1,
    }
    for handle in (redelivered, *waiting[:2], *ended):
        await _assert_gone(stack, handle)
    await _assert_no_attempt_comes_but_of(stack, waiting[2])
    assert (await stack.log(kept)).status is Status.COMPLETED
    assert (await command(stack, "workspaces", "erase", going.workspace, "--yes")).code == 3
    with pytest.raises(InvalidEvent, match="workspace: is unknown"):
        await (await going.emit()).result()


async def _redelivered_event(stack: Stack) -> EventHandle:
    """With two runs."""
    stack.sim.fail("identify", fault=Fault(status=400), times=1)
    handle = await stack.emit()
    assert (await stack.ended(handle)).status is Status.FAILED
    await redeliver(stack.client, handle.id)
    assert (await stack.ended(handle)).status is Status.COMPLETED
    return handle


async def _assert_gone(stack: Stack, handle: EventHandle) -> None:
    with pytest.raises(EventNotFound):
        await stack.log(handle)
    query = f"WorkflowId = '{handle.id}'"
    assert [run async for run in stack.client.list_workflows(query)] == []


async def _assert_no_attempt_comes_but_of(stack: Stack, waiting: EventHandle) -> None:
    """While this event, with the same waits as others had, makes two more of its own."""
    made = len(stack.calls())
    before = _attempts(await stack.log(waiting))
    await stack.log_when(waiting, lambda log: _attempts(log) >= before + 2)
    assert {request.body["userId"] for request in stack.calls()[made:]} == {"kept"}


def _attempts(log: EventLog) -> int:
    identify = log.deliveries[0].identify if log.deliveries else None
    return len(identify.attempts) if identify else 0


@pytest.mark.parametrize("event_id", [UNKNOWN, "' OR '1'='1", "ü"])
async def test_an_unknown_event_is_said_to_be_unknown(stack: Stack, event_id: str) -> None:
    handle = await stack.emit()
    assert await erase_events(stack.client, [event_id]) == {event_id: False}
    assert (await stack.log(handle)).event == "user.signup"


async def test_no_table_of_a_workspace_is_forgotten(stack: Stack) -> None:
    async with stack.catalog.pool.acquire() as conn:
        rows = await conn.fetch(
            "SELECT table_name FROM information_schema.columns "
            "JOIN information_schema.tables USING (table_schema, table_name) "
            "WHERE table_schema = 'public' AND column_name = 'workspace_id' "
            "AND table_type = 'BASE TABLE'"
        )
    assert {row["table_name"] for row in rows} == set(TABLES)


async def test_a_stranger_s_workspace_is_not_erased(stack: Stack) -> None:
    stranger = await stack.catalog.organizations.create("Stranger")
    with pytest.raises(NotFound):
        await erase_workspace(
            stack.catalog.pool, stack.catalog.changes, stranger.id, stack.workspace
        )
    assert await stack.catalog.workspaces.get(stack.organization, stack.workspace)


PERSON = ("usr_9", "Nine@Example.com")
FREE_TEXT = {"userId": "somebody", "note": "talked to NINE@example.com today"}


async def of_person(stack: Stack, *, scan: bool = False) -> set[str]:
    hashes = [person_hash(SECRET, stack.workspace, one) for one in PERSON]
    found = person_events(stack.client, stack.workspace, hashes, mentioned=PERSON if scan else ())
    return {listed.event_id async for listed, _ in found}


@pytest.mark.timeout(240)
@pytest.mark.slow
async def test_a_person_is_handed_out_and_erased_and_nobody_else(
    stack: Stack, tmp_path: Path
) -> None:
    await stack.rule()
    by_id, by_mail = {"userId": "usr_9"}, {"email": "nine@example.com"}
    stack.sim.fail("identify", fault=Fault(status=400), times=1)
    redelivered = await stack.emit(payload=by_id)
    await stack.ended(redelivered)
    await redeliver(stack.client, redelivered.id)
    ended = await stack.emit(payload=by_mail)
    mentioned, other = await stack.emit(payload=FREE_TEXT), await stack.emit()
    for handle in (redelivered, ended, mentioned, other):
        await stack.ended(handle)
    named = {redelivered.id, ended.id}

    async def listed() -> bool:
        return await of_person(stack, scan=True) == {*named, mentioned.id}

    await eventually(listed)
    file = tmp_path / "person.jsonl"
    about = (*PERSON, "--workspace", stack.workspace)
    exporting = ("people", "export", *about, "--output", str(file))
    assert (await command(stack, *exporting)).code == 0
    whole = file.read_text().splitlines()
    assert {json.loads(line)["event_id"] for line in whole} == named
    attempts = {len(json.loads(line)["deliveries"][0]["identify"]["attempts"]) for line in whole}
    assert attempts == {1, 2}
    file.write_text(whole[0] + "\n" + whole[1][:100])  # it was interrupted
    assert "1 events exported, 1 before" in (await command(stack, *exporting)).err
    assert file.read_text().splitlines() == whole
    assert (await command(stack, *exporting, "--scan")).code == 0
    assert len(file.read_text().splitlines()) == 3

    stack.sim.fail("identify", fault=Fault(status=503, headers={"Retry-After": "2"}))
    open_one = await stack.emit(payload=by_id)
    beside = await stack.emit(payload={"userId": "kept"})
    for handle in (open_one, beside):
        await stack.log_when(handle, waits)

    async def found() -> bool:
        return await of_person(stack) == {*named, open_one.id}

    await eventually(found)
    erasing = ("people", "erase", *about, "--scan", "--json")
    assert (await command(stack, *erasing)).code == 4
    done = await command(stack, *erasing, "--yes")
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert set(said["erased"]) == {*named, mentioned.id, open_one.id}
    [vendor] = said["remains"][0]["connections"]
    assert (vendor["name"], vendor["type"]) == ("Customer io", "customer_io")
    for handle in (redelivered, ended, mentioned, open_one):
        await _assert_gone(stack, handle)
    await _assert_no_attempt_comes_but_of(stack, beside)
    assert (await stack.log(other)).status is Status.COMPLETED
    assert (await command(stack, *erasing, "--yes")).code == 3
    recorded = await stack.catalog.pool.fetch("SELECT act, ids::text FROM audit")
    assert {"erase_person", "export_person"} <= {row["act"] for row in recorded}
    assert not any(one in row["ids"] for row in recorded for one in PERSON)


@pytest.mark.timeout(240)
@pytest.mark.slow
async def test_a_person_is_handed_out_and_erased_over_http(stack: Stack) -> None:
    await stack.rule()
    about = [await stack.emit(payload={"userId": "usr_9"}) for _ in range(3)]
    mentioned, other = await stack.emit(payload=FREE_TEXT), await stack.emit()
    for handle in (*about, mentioned, other):
        await stack.ended(handle)
    await stack.listed(5)
    path, person = f"/workspaces/{stack.workspace}/people", {"identifiers": [*PERSON]}
    async with open_api(stack) as api:

        async def exported(limit: int, **more: bool) -> set[str]:
            found, cursor = [], None
            while True:
                params = {"limit": limit} | ({"cursor": cursor} if cursor else {})
                answer = await api.post(f"{path}/export", person | more, **params)
                assert answer.status_code == 200, answer.text
                page = answer.json()
                assert page["count"] == len(page["records"]) <= limit
                found += [one["event_id"] for one in page["records"]]
                if (cursor := page["next_cursor"]) is None:
                    assert len(found) == len(set(found))
                    return set(found)

        named = {handle.id for handle in about}
        assert await exported(2) == await exported(50) == named
        assert mentioned.id in await exported(2, scan=True)
        assert other.id not in await exported(50, scan=True)
        faults: list[dict[str, object]] = [
            {},
            {"identifiers": []},
            {"identifiers": ["x"], "scan": True},
        ]
        for wrong in faults:
            assert (await api.post(f"{path}/export", wrong)).status_code == 400
            assert (await api.post(f"{path}/erase", wrong)).status_code == 400
        machines = stack.catalog.machine_keys
        blind = await machines.create(
            stack.organization, name="blind", created_by="test", scopes=[MANAGE]
        )
        machine = Machine(
            stack.organization, blind.key.access_key, blind.secret_key.get_secret_value()
        )
        refused = await api.call("POST", f"{path}/erase", person, machine=machine)
        assert refused.status_code == 403
        assert "payload" in refused.text
        assert await exported(50) == named
        erased = await api.post(f"{path}/erase", person)
        assert set(erased.json()["erased"]) == named
        [vendor] = erased.json()["remains"][0]["connections"]
        assert vendor["name"] == "Customer io"
        assert (await api.post(f"{path}/erase", person)).json()["erased"] == []
        assert await exported(50) == set()
    for handle in about:
        await _assert_gone(stack, handle)
    assert (await stack.log(other)).status is Status.COMPLETED


async def test_a_page_of_an_export_ends_early_once_it_is_large(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("operations.person_events.LARGEST_ANSWER", 150_000)
    large = {"userId": "usr_9", "text": "x" * 100_000}
    handles = [await stack.emit(payload=large) for _ in range(3)]
    await stack.listed(3)
    path, pages = f"/workspaces/{stack.workspace}/people/export", []
    async with open_api(stack) as api:
        for scan in (False, True):
            found: list[str] = []
            cursor = None
            while True:
                more = {"cursor": cursor} if cursor else {}
                answer = await api.post(path, {"identifiers": ["usr_9"], "scan": scan}, **more)
                page = answer.json()
                pages.append(page["count"])
                found += [one["event_id"] for one in page["records"]]
                if (cursor := page["next_cursor"]) is None:
                    break
            assert sorted(found) == sorted(handle.id for handle in handles)
    assert pages == [2, 1, 2, 1]


@pytest.mark.slow
async def test_only_a_few_erasures_are_at_work_at_once(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So nobody who gives up and asks again, and again, has ever more events read."""
    path, person = f"/workspaces/{stack.workspace}/people/erase", {"identifiers": ["nobody"]}
    async with open_api(stack) as api:
        several = (api.post(path, person) for _ in range(MOST_ERASING + 2))
        answers = await asyncio.gather(*several)
        refused = [one for one in answers if one.status_code == 503]
        assert [one.status_code for one in answers].count(200) == MOST_ERASING
        assert len(refused) == 2
        assert all(one.headers["Retry-After"] == "30" for one in refused)
        assert (await api.post(path, person)).status_code == 200
        with monkeypatch.context() as shorter:
            shorter.setattr("starter.api.routes.people.ERASE_SECONDS", 0.001)
            given_up = await api.post(path, person)
        assert (given_up.status_code, "send it again" in given_up.text) == (503, True)
        assert (await api.post(path, person)).status_code == 200


@pytest.mark.timeout(240)
@pytest.mark.slow
async def test_a_person_is_erased_while_a_redelivery_sends_the_events_again(stack: Stack) -> None:
    await stack.rule()
    handles = [await stack.emit(payload={"userId": "usr_9"}) for _ in range(8)]
    for handle in handles:
        await stack.ended(handle)
    await stack.listed(8)
    now = datetime.now(UTC)
    selection = select(
        stack.workspace, accepted_from=now - timedelta(hours=1), now=now, mode=Mode.AGAIN
    )
    plan = await plan_redelivery(stack.client, selection)
    redelivery = await start_redelivery(
        stack.client, plan, task_queue=stack.task_queue, per_second=4
    )
    hashes = [person_hash(SECRET, stack.workspace, "usr_9")]
    erased: set[str] = set()
    await erase_person(stack.client, stack.workspace, hashes, erased=erased, connections=set())
    assert {handle.id for handle in handles} <= erased
    async for status in watch_redelivery(stack.client, redelivery.id):
        assert status.state != "failed"
    assert await of_person(stack) == set()
