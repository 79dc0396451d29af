"""What the lookup of an event's rules promises, cached or not."""

from __future__ import annotations

import asyncio
import contextlib
import uuid

import pytest

from catalog.changes import Changes
from catalog.connections import Connections
from catalog.credentials import ConnectionLookup
from catalog.database import open_connection
from catalog.errors import CatalogUnavailable, NotFound
from catalog.mappings import Mappings
from catalog.rule_lookup import RuleLookup
from catalog.rules import Rules
from delivery.credential import ConnectionCredential
from delivery.rule import MatchRequest, MatchResult
from destinations import registry
from destinations.customerio.build import DEFAULT_MAPPING
from tests.conftest import psql
from tests.contract.catalog_samples import CIPHER, HASHES, METADATA, Announced, Tenant
from tests.integration.stack import eventually


@pytest.fixture
def database(shared_database: str) -> str:
    return shared_database


async def test_absent_resource_and_id_match_any_and_given_ones_match_their_equals(tenant):
    any_rule = await tenant.rule()
    of_list = await tenant.rule(resource="list")
    of_seven = await tenant.rule(resource_id="7")
    of_list_seven = await tenant.rule(resource="list", resource_id="7")
    await tenant.rule(event="user.deleted")
    await tenant.rule(active=False)

    assert await tenant.matched() == [any_rule.id]
    assert await tenant.matched(resource="list") == [any_rule.id, of_list.id]
    assert await tenant.matched(resource_id="7") == [any_rule.id, of_seven.id]
    assert await tenant.matched(resource="list", resource_id="7") == [
        any_rule.id,
        of_list.id,
        of_seven.id,
        of_list_seven.id,
    ]
    assert await tenant.matched(resource="list", resource_id="8") == [any_rule.id, of_list.id]


async def test_more_rules_than_are_held_match_just_the_same(tenant):
    any_rule = await tenant.rule()
    narrow = [await tenant.rule(resource="list", resource_id=f"{n}") for n in range(250)]
    assert await tenant.matched() == [any_rule.id]
    assert await tenant.matched(resource="list", resource_id="249") == [any_rule.id, narrow[249].id]
    assert await tenant.matched(resource="\0", resource_id="\ud800") == [any_rule.id]


async def test_matched_rule_carries_mapping_and_metadata(tenant):
    await tenant.rule(metadata={"action": "track_event", "event_name_override": "Signed Up"})
    await tenant.catalog.mappings.put_default(
        tenant.organization, tenant.connection.id, schema=DEFAULT_MAPPING
    )
    result = await tenant.catalog.rule_lookup.match(
        MatchRequest(
            workspace=tenant.workspace.upper(),
            event="user.signup",
            resource="global",
            resource_id="7",
        )
    )
    [rule] = result.rules
    assert result.workspace_known
    assert result.resource_id_hash == HASHES.resource_id("7")
    assert rule.connection == tenant.connection.id
    assert rule.metadata.event_name_override == "Signed Up"
    assert rule.mapping == DEFAULT_MAPPING


@pytest.mark.parametrize(
    "workspace", ["0c399599-4199-4af5-b4c7-98f3f306638e", "", "acme", "{…}", "\0", "x" * 100_000]
)
async def test_unknown_workspace_is_said_and_matches_nothing(tenant, workspace):
    result = await tenant.catalog.rule_lookup.match(
        MatchRequest(workspace=workspace, event="user.signup", resource="global")
    )
    assert not result.workspace_known
    assert result.rules == ()


@pytest.mark.parametrize("event", ["", "\0", "\ud800", "x" * 1_000_000])
async def test_event_that_no_rule_can_name_matches_nothing(tenant, event):
    result = await tenant.catalog.rule_lookup.match(
        MatchRequest(workspace=tenant.workspace, event=event, resource="global")
    )
    assert result.workspace_known
    assert result.rules == ()


async def test_only_rules_narrows_and_exact_takes_them_as_they_are(tenant):
    first, second = await tenant.rule(), await tenant.rule()
    inactive = await tenant.rule(event="other", active=False)
    foreign = await (await Tenant.create(tenant.catalog, "Other")).rule()
    named = (second.id.upper(), inactive.id, foreign.id, "no-uuid", "\0")

    assert await tenant.matched() == [first.id, second.id]
    assert await tenant.matched(only_rules=named) == [second.id]
    assert await tenant.matched(only_rules=named, exact=True) == [second.id, inactive.id]
    assert await tenant.matched(only_rules=()) == []


async def test_own_write_is_read_at_once(tenant):
    assert await tenant.matched() == []
    rule = await tenant.rule()
    assert await tenant.matched() == [rule.id]
    await tenant.catalog.rules.set_active(tenant.organization, rule.id, False)
    assert await tenant.matched() == []


async def test_workspace_created_after_it_was_asked_for_is_known(tenant, database):
    id = str(uuid.uuid4())

    async def known() -> bool:
        request = MatchRequest(workspace=id, event="user.signup", resource="global")
        return (await tenant.catalog.rule_lookup.match(request)).workspace_known

    assert not await known()
    async with psql(database) as writer:
        await writer.execute(
            "INSERT INTO workspaces (id, organisation_id, name) VALUES ($1, $2, 'late')",
            id,
            tenant.organization,
        )
    await eventually(known)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE rules SET active = false",
        "DELETE FROM rules",
        "TRUNCATE rules",
        "DELETE FROM connections",
    ],
)
async def test_write_by_anybody_is_heard(tenant, database, statement):
    rule = await tenant.rule()
    assert await tenant.matched() == [rule.id]
    async with psql(database) as writer:
        await writer.execute(statement)

    async def gone() -> bool:
        return await tenant.matched() == []

    await eventually(gone)


async def test_rules_are_answered_from_memory_while_changes_are_heard(tenant, database):
    rule = await tenant.rule()

    async def from_memory() -> bool:
        """What is looked up before the rule's creation is heard isn't held."""
        assert await tenant.matched() == [rule.id]
        async with psql(database) as writer, writer.transaction():
            await writer.execute("LOCK TABLE rules, connections, workspaces, mappings")
            with contextlib.suppress(CatalogUnavailable):  # a query waits for the lock in vain
                return await tenant.matched() == [rule.id]
        return False

    await eventually(from_memory)


async def test_lost_listener_bypasses_the_cache_until_it_is_back(tenant, database):
    reachable = asyncio.Event()
    reachable.set()

    async def connect():
        await reachable.wait()
        return await open_connection(database)

    changes = Changes(connect, check_seconds=60)
    lookup = RuleLookup(tenant.catalog.pool, changes, HASHES)
    rule = await tenant.rule()

    async def matched() -> list[str]:
        request = MatchRequest(workspace=tenant.workspace, event="user.signup", resource="global")
        return [found.id for found in (await lookup.match(request)).rules]

    async def deaf() -> bool:
        return not changes.hearing

    async def hearing() -> bool:
        return changes.hearing

    await changes.start()
    try:
        assert await matched() == [rule.id]
        async with psql(database) as writer:
            reachable.clear()
            await writer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'emitonce listener' "
                "AND datname = current_database()"
            )
            await eventually(deaf)
            await writer.execute("UPDATE rules SET active = false")
            assert await matched() == []  # at once, though nobody was told
            await writer.execute("UPDATE rules SET active = true")
            assert await matched() == [rule.id]
            reachable.set()
            await eventually(hearing)
            assert await matched() == [rule.id]
            await writer.execute("UPDATE rules SET active = false")

        async def gone() -> bool:
            return await matched() == []

        await eventually(gone)
    finally:
        await changes.stop()


async def test_own_write_is_read_though_its_notification_is_late(tenant):
    """NOTIFY comes when it comes; the process that wrote must not read what it has overwritten."""
    pool, changes = tenant.catalog.pool, Announced()
    connections = Connections(pool, changes, CIPHER, registry)
    rules, mappings = Rules(pool, changes, registry), Mappings(pool, changes)
    lookup = RuleLookup(pool, changes, HASHES)
    credentials = ConnectionLookup(pool, changes, CIPHER, registry)
    organization, connection = tenant.organization, tenant.connection.id
    owned = (organization, connection)

    async def matched() -> MatchResult:
        return await lookup.match(
            MatchRequest(workspace=tenant.workspace, event="user.signup", resource="global")
        )

    async def credential() -> ConnectionCredential:
        return await credentials.credential(tenant.workspace, connection)

    assert (await matched()).rules == ()
    rule = await rules.create(
        organization,
        workspace=tenant.workspace,
        connection=connection,
        event="user.signup",
        metadata=METADATA,
        created_by="test",
    )
    assert len((await matched()).rules) == 1
    await rules.set_active(organization, rule.id, False)
    assert (await matched()).rules == ()
    await rules.set_active(organization, rule.id, True)
    assert (await matched()).rules[0].mapping is None
    await mappings.put_default(*owned, schema=DEFAULT_MAPPING)
    assert (await matched()).rules[0].mapping == DEFAULT_MAPPING
    await connections.update(*owned, name="Renamed")
    assert (await matched()).rules[0].connection_name == "Renamed"

    assert (await credential()).status == "active"
    await connections.pause(*owned)
    assert (await credential()).status == "paused"
    await connections.resume(*owned)
    assert (await credential()).status == "active"
    assert await credentials.deactivate(connection, version=1)
    assert (await credential()).status == "inactive"
    await connections.update(*owned, fields={"cdpApiKey": "cdp-key-2"})
    assert ((await credential()).status, (await credential()).version) == ("active", 2)

    await rules.delete(organization, rule.id)
    assert (await matched()).rules == ()
    await connections.delete(*owned)
    with pytest.raises(NotFound):
        await credential()
