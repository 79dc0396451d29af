"""While PostgreSQL is unavailable events are accepted, with keys that were valid shortly before."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.client import Client

from delivery.result import Status
from process import migrate_database
from starter.dev.postgres import EmbeddedPostgres
from tests.api.caller import Api, assert_error, open_api
from tests.api.line import DatabaseLine
from tests.contract.catalog_samples import all_changes_heard, opened
from tests.integration.stack import SAMPLE, Stack, eventually, open_stack
from tests.operations.processes import command

EVENT = {"event": "user.signup", "payload": SAMPLE}


@dataclass
class Outage:
    """A running API whose line to PostgreSQL can be cut. `beside` goes around the line."""

    api: Api
    line: DatabaseLine
    beside: str

    @property
    def stack(self) -> Stack:
        return self.api.stack

    async def begin(self) -> None:
        if self.stack.catalog.changes.hearing:
            await all_changes_heard(self.stack.catalog, self.beside)
        await self.stack.catalog.api_key_lookup.settled()
        await self.line.cut()

        async def noticed() -> bool:
            return not self.stack.catalog.changes.hearing

        await eventually(noticed)

    async def end(self) -> None:
        await self.line.mend()

        async def over() -> bool:
            return self.stack.catalog.changes.hearing

        await eventually(over)

    async def emit_both_ways(self) -> list[int]:
        """With the publishable key, and with the machine's."""
        body = EVENT | {"workspace": self.stack.workspace}
        answers = [await self.api.emit(), await self.api.post("/events", body)]
        return [answer.status_code for answer in answers]


@pytest_asyncio.fixture
async def outage(temporal: Client, database: str) -> AsyncIterator[Outage]:
    async with (
        DatabaseLine(database) as line,
        open_stack(temporal, line.url) as stack,
        open_api(stack) as api,
    ):
        yield Outage(api, line, database)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Not below pytest's own, which a server that runs as another user may not enter."""
    with tempfile.TemporaryDirectory(prefix="emitonce-test-") as path:
        yield Path(path)


async def test_events_are_accepted_without_postgresql_and_delivered_when_it_is_back(
    temporal: Client, data_dir: Path
) -> None:
    server = await EmbeddedPostgres.start(data_dir, durable=False)
    await migrate_database(server.dsn)
    async with open_stack(temporal, server.dsn) as stack, open_api(stack) as api:
        await stack.rule()
        known = await api.emitted()
        await api.ended(known["id"])
        await server.stop()
        created = await api.emitted(EVENT | {"payload": {"userId": "usr_meanwhile"}})
        assert stack.calls(user="usr_meanwhile") == []
        server = await EmbeddedPostgres.start(data_dir, durable=False)
        run = stack.client.get_workflow_handle(created["id"])
        await run.result()
        log = await stack.log(stack.emitter.get(created["id"]))
        assert log.status is Status.COMPLETED
        assert len(stack.calls(user="usr_meanwhile")) == 2
    await server.stop()


async def test_both_kinds_of_keys_emit_while_the_database_refuses(outage: Outage) -> None:
    assert await outage.emit_both_ways() == [201, 201]
    await outage.begin()
    assert await outage.emit_both_ways() == [201, 201]
    batch = [EVENT, EVENT]
    assert (await outage.api.emit(batch, path="/events/bulk")).status_code == 201


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the waits for the database; set before the parts of the outage are opened."""
    for name, seconds in (("CONNECT", 2.0), ("ACQUIRE", 1.0), ("COMMAND", 2.0)):
        monkeypatch.setattr(f"catalog.database.{name}_SECONDS", seconds)
    monkeypatch.setattr("catalog.last_known.ASK_SECONDS", 0.2)


@pytest.mark.slow
async def test_events_are_accepted_while_the_database_says_nothing(
    short_waits: None, outage: Outage
) -> None:
    assert await outage.emit_both_ways() == [201, 201]
    outage.line.fall_silent()

    async def noticed() -> bool:
        return not outage.stack.catalog.changes.hearing

    await eventually(noticed)
    for _ in range(3):
        assert await outage.emit_both_ways() == [201, 201]


async def test_a_key_nobody_used_before_waits_for_the_database(outage: Outage) -> None:
    await outage.begin()
    answer = await outage.api.emit()
    assert_error(answer, 503)
    assert int(answer.headers["retry-after"]) >= 1
    await outage.end()
    assert await outage.emit_both_ways() == [201, 201]


async def test_a_key_stays_known_when_another_one_is_made(outage: Outage) -> None:
    assert await outage.emit_both_ways() == [201, 201]
    await outage.api.stranger()  # a change of a key: which one, nobody is told
    await outage.stack.rule()
    await outage.begin()
    assert await outage.emit_both_ways() == [201, 201]


async def test_a_key_that_was_revoked_before_emits_no_more(outage: Outage) -> None:
    keys = outage.stack.catalog.publishable_keys
    assert await outage.emit_both_ways() == [201, 201]
    [key] = await keys.list(outage.stack.organization)
    await keys.revoke(outage.stack.organization, key.id)
    await outage.begin()
    assert await outage.emit_both_ways() == [503, 201]


async def test_a_revocation_meanwhile_takes_effect_when_the_database_is_back(
    outage: Outage,
) -> None:
    assert await outage.emit_both_ways() == [201, 201]
    await outage.begin()
    async with opened(outage.beside) as elsewhere:
        organization = outage.stack.organization
        for keys in (elsewhere.publishable_keys, elsewhere.machine_keys):
            for key in await keys.list(organization):
                await keys.revoke(organization, key.id)
    assert await outage.emit_both_ways() == [201, 201]
    await outage.end()
    assert await outage.emit_both_ways() == [401, 401]
    await outage.begin()
    assert await outage.emit_both_ways() == [503, 503]


async def test_a_key_that_can_not_be_checked_emits_and_does_nothing_else(outage: Outage) -> None:
    created = await outage.api.emitted()
    assert (await outage.api.get(f"/events/{created['id']}")).status_code == 200
    await outage.begin()
    assert_error(await outage.api.get(f"/events/{created['id']}"), 503)
    assert_error(await outage.api.post(f"/events/{created['id']}/cancel"), 503)
    assert_error(await outage.api.get("/events"), 503)


async def test_health_says_until_when_events_are_accepted(outage: Outage) -> None:
    http = outage.api.http
    assert (await http.get("/readyz")).json()["status"] == "ok"
    await outage.begin()
    ready = await http.get("/readyz")
    assert (ready.status_code, ready.json()["database"]) == (503, "away")
    await outage.end()
    assert await outage.emit_both_ways() == [201, 201]
    await outage.begin()
    ready = await http.get("/readyz")
    assert ready.status_code == 200
    assert (ready.json()["status"], ready.json()["database"]) == ("degraded", "away")
    assert ready.json()["accepts_until"].endswith("Z")
    assert (await http.get("/healthz")).status_code == 200


@pytest.mark.slow
async def test_doctor_says_what_an_outage_of_the_database_means(outage: Outage) -> None:
    await outage.begin()
    ended = await command(outage.stack, "doctor")
    assert ended.code == 1
    assert "accepts events for 10 minutes" in " ".join(ended.out.split())
