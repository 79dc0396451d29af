"""What rules promise: who may see them, what they may say, and how many match one event."""

from __future__ import annotations

import asyncio
import json
import uuid

import pytest

from catalog.errors import InvalidValue, NotFound, TooManyRules
from catalog.rule_lookup import MATCHING, OF_EVENT
from delivery.rule import MAX_RULES_PER_EVENT
from tests.conftest import psql
from tests.contract.catalog_samples import METADATA, Tenant, opened


@pytest.fixture
def database(shared_database: str) -> str:
    return shared_database


async def fill(database: str, tenant: Tenant, number: int, **fields: str) -> None:
    """Active rules, written past the limit's check."""
    async with psql(database) as writer:
        await writer.execute(
            "INSERT INTO rules (workspace_id, connection_id, event, resource, resource_id, "
            "metadata, created_by) "
            "SELECT $1, $2, 'user.signup', $3, $4, $5::jsonb, 'test' "
            "FROM generate_series(1, $6::int)",
            tenant.workspace,
            tenant.connection.id,
            fields.get("resource"),
            fields.get("resource_id"),
            json.dumps(METADATA),
            number,
        )


async def test_rule_is_read_as_it_was_written(tenant):
    metadata = {"action": "track_event", "event_name_override": "Signed Up", "own": {"key": [1]}}
    rule = await tenant.rule(metadata=metadata, resource="list", resource_id="a.B_1:-")
    assert rule.metadata == metadata
    assert rule.type == "customer_io"
    assert await tenant.catalog.rules.get(tenant.organization, rule.id) == rule
    assert await tenant.catalog.rules.delete(tenant.organization, rule.id) == rule
    with pytest.raises(NotFound):
        await tenant.catalog.rules.get(tenant.organization, rule.id)


async def test_first_rule_enters_event_type_and_resource_into_the_catalog(tenant):
    await tenant.rule(resource="list")
    await tenant.rule(resource="list")
    rule = await tenant.rule(event="trial.started")
    await tenant.catalog.rules.delete(tenant.organization, rule.id)
    owned = (tenant.organization, tenant.workspace)
    assert [entry.key for entry in await tenant.catalog.event_types.list(*owned)] == [
        "trial.started",
        "user.signup",
    ]
    assert [entry.key for entry in await tenant.catalog.resources.list(*owned)] == ["list"]


async def test_another_organization_finds_nothing(tenant):
    rule = await tenant.rule()
    other = await Tenant.create(tenant.catalog, "Other")
    rules = tenant.catalog.rules
    mixed = {"event": "user.signup", "metadata": METADATA, "created_by": "test"}
    for attempt in (
        rules.get(other.organization, rule.id),
        rules.set_active(other.organization, rule.id, False),
        rules.delete(other.organization, rule.id),
        rules.create(
            other.organization,
            workspace=tenant.workspace,
            connection=tenant.connection.id,
            **mixed,
        ),
        rules.create(
            other.organization,
            workspace=other.workspace,
            connection=tenant.connection.id,
            **mixed,
        ),
        tenant.catalog.event_types.list(other.organization, tenant.workspace),
        tenant.catalog.resources.list(other.organization, tenant.workspace),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert (await rules.list(other.organization, workspace=tenant.workspace)).records == ()
    assert (await rules.list(other.organization)).records == ()
    assert await rules.get(tenant.organization, rule.id) == rule


async def test_lists_are_paged_newest_first_without_gap_or_repetition(tenant):
    created = [(await tenant.rule(event=f"event.{n}")).id for n in range(7)]
    seen: list[str] = []
    cursor = None
    while True:
        page = await tenant.catalog.rules.list(tenant.organization, limit=3, cursor=cursor)
        seen += [rule.id for rule in page.records]
        await tenant.rule(event="meanwhile")  # what is newer doesn't push anything onto a page
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == created[::-1]


async def test_lists_are_filtered_by_what_the_rules_say(tenant):
    plain = await tenant.rule()
    of_list = await tenant.rule(resource="list", resource_id="7")

    async def listed(**filters) -> list[str]:
        page = await tenant.catalog.rules.list(
            tenant.organization, workspace=tenant.workspace, **filters
        )
        return [rule.id for rule in page.records]

    assert await listed() == [of_list.id, plain.id]
    assert await listed(event="user.signup", resource="list", resource_id="7") == [of_list.id]
    assert await listed(resource="global") == []
    assert await listed(event="\0") == []
    assert await listed(resource_id="\ud800") == []


@pytest.mark.parametrize("limit", [0, 201, -1])
async def test_limit_out_of_range_is_refused(tenant, limit):
    with pytest.raises(InvalidValue, match="limit"):
        await tenant.catalog.rules.list(tenant.organization, limit=limit)


@pytest.mark.parametrize("cursor", ["", "x", "\0", "ünïcode", "MjAyNi0wMS0wMXx4", "e30" * 1000])
async def test_cursor_of_something_else_is_refused(tenant, cursor):
    with pytest.raises(InvalidValue, match="cursor"):
        await tenant.catalog.rules.list(tenant.organization, cursor=cursor)


NESTED: dict = {}
for _ in range(5_000):
    NESTED = {"inner": NESTED}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event", ""),
        ("event", " "),
        ("event", "nul\0"),
        ("event", "\ud800"),
        ("event", "ü" * 51),
        ("resource", ""),
        ("resource", "nul\0"),
        ("resource_id", ""),
        ("resource_id", "x" * 65),
        ("resource_id", "person@example.com"),
        ("resource_id", "7\n"),
        ("metadata", {"action": "track_event", "own": "nul\0"}),
        ("metadata", {"action": "track_event", "nul\0": 1}),
        ("metadata", {"action": "track_event", "own": ["\ud800"]}),
        ("metadata", {"action": "track_event", "own": float("nan")}),
        ("metadata", {"action": "track_event", "own": "x" * 20_000}),
        ("metadata", {"action": "track_event", "own": NESTED}),
        ("metadata.action", {}),
        ("metadata.action", {"action": "send_email"}),
        ("metadata.event_name_override", METADATA | {"event_name_override": 7}),
        ("metadata.event_name_override", METADATA | {"event_name_override": "x" * 101}),
        ("metadata.on_limit", METADATA | {"on_limit": "explode"}),
        ("created_by", "nul\0"),
    ],
)
async def test_wrong_value_is_refused_by_its_field(tenant, field, value):
    with pytest.raises(InvalidValue) as caught:
        await tenant.rule(**{field.partition(".")[0]: value})
    assert caught.value.field == field


async def test_id_of_nothing_is_not_found(tenant):
    for id in (str(uuid.uuid4()), "", "no-uuid", "\0", "x" * 10_000):
        with pytest.raises(NotFound) as caught:
            await tenant.catalog.rules.get(tenant.organization, id)
        assert len(str(caught.value)) < 200


async def test_rule_beyond_the_limit_is_refused(tenant, database):
    await fill(database, tenant, MAX_RULES_PER_EVENT - 1)
    await tenant.rule()
    with pytest.raises(TooManyRules, match="more than 100 active rules"):
        await tenant.rule(resource="list")
    inactive = await tenant.rule(active=False)
    with pytest.raises(TooManyRules):
        await tenant.catalog.rules.set_active(tenant.organization, inactive.id, True)
    await tenant.rule(event="another.event")


async def test_active_rule_can_be_activated_again_at_the_limit(tenant, database):
    await fill(database, tenant, MAX_RULES_PER_EVENT - 1)
    rule = await tenant.rule()
    assert (await tenant.catalog.rules.set_active(tenant.organization, rule.id, True)).active


async def test_rules_that_share_no_event_do_not_add_up(tenant, database):
    await fill(database, tenant, 60, resource="a")
    await fill(database, tenant, 60, resource="b")
    await tenant.rule(resource="a")
    await fill(database, tenant, 39, resource_id="7")
    # An event for a with id 7 matches 61 + 39 by now; one for a with any other id 61.
    with pytest.raises(TooManyRules):
        await tenant.rule(resource="a")
    with pytest.raises(TooManyRules):
        await tenant.rule()
    await tenant.rule(resource="a", resource_id="8")
    await tenant.rule(resource="b")


@pytest.mark.parametrize("how", ["create", "activate"])
async def test_of_many_at_once_no_more_than_the_limit_get_in(tenant, database, how):
    await fill(database, tenant, MAX_RULES_PER_EVENT - 3)
    async with opened(database) as elsewhere:
        there = Tenant(elsewhere, tenant.organization, tenant.workspace, tenant.connection)
        if how == "create":
            attempts = [where.rule() for where in (tenant, there) * 8]
        else:
            ids = [(await tenant.rule(active=False)).id for _ in range(16)]
            attempts = [
                where.catalog.rules.set_active(tenant.organization, id, True)
                for where, id in zip((tenant, there) * 8, ids, strict=True)
            ]
        results = await asyncio.gather(*attempts, return_exceptions=True)
    refused = [result for result in results if isinstance(result, TooManyRules)]
    assert len(refused) == 13
    assert len(await tenant.matched()) == MAX_RULES_PER_EVENT


async def test_rule_and_deletion_of_its_connection_at_once_leave_no_orphan(tenant):
    for _ in range(10):
        connection = await tenant.catalog.connections.create(
            tenant.organization,
            workspace=tenant.workspace,
            name="Short-lived",
            type="customer_io",
            fields={"region": "us", "cdpApiKey": "key"},
            created_by="test",
        )
        results = await asyncio.gather(
            tenant.catalog.rules.create(
                tenant.organization,
                workspace=tenant.workspace,
                connection=connection.id,
                event="user.signup",
                metadata=METADATA,
                created_by="test",
            ),
            tenant.catalog.connections.delete(tenant.organization, connection.id),
            return_exceptions=True,
        )
        failed = [result for result in results if isinstance(result, Exception)]
        assert len(failed) == 1  # either there was no connection, or it had an active rule


def scanned_whole(plan: dict) -> list[str]:
    below = [name for child in plan.get("Plans", ()) for name in scanned_whole(child)]
    return below + ([plan["Relation Name"]] if plan["Node Type"] == "Seq Scan" else [])


def index_conditions(plan: dict) -> dict[str, str]:
    own = {plan["Index Name"]: plan.get("Index Cond", "")} if "Index Name" in plan else {}
    for child in plan.get("Plans", ()):
        own |= index_conditions(child)
    return own


@pytest.mark.slow
async def test_lookup_reads_by_index_alone_however_many_rules_there_are(tenant, database):
    async with psql(database) as writer:
        await writer.execute(
            """
            INSERT INTO workspaces (organisation_id, name)
            SELECT $1, 'w' || n FROM generate_series(1, 1000) n
            """,
            tenant.organization,
        )
        await writer.execute(
            """
            INSERT INTO connections (workspace_id, type, name, region, encrypted_key, key_id,
                                     created_by)
            SELECT id, 'customer_io', 'c', 'us', '', '', '' FROM workspaces, generate_series(1, 2)
            """
        )
        await writer.execute(
            """
            INSERT INTO mappings (workspace_id, connection_id, name, schema)
            SELECT workspace_id, id, 'm', '{"schema_version": 1, "fields": []}' FROM connections
            """
        )
        await writer.execute(
            """
            INSERT INTO rules (workspace_id, connection_id, event, metadata, created_by)
            SELECT workspace_id, id, 'event.' || n, '{"action": "track_event"}', ''
            FROM connections, generate_series(1, 40) n
            """
        )
        # One workspace has as many for a single event, each for an id of its own.
        await writer.execute(
            """
            INSERT INTO rules (workspace_id, connection_id, event, resource, resource_id,
                               metadata, created_by)
            SELECT $1, $2, 'user.signup', 'list', n::text, '{"action": "track_event"}', ''
            FROM generate_series(1, 20000) n
            """,
            tenant.workspace,
            tenant.connection.id,
        )
        await writer.execute("ANALYZE")
        assert await writer.fetchval("SELECT count(*) FROM rules") >= 100_000

        async def plan(query: str, *arguments: object) -> dict:
            [row] = await writer.fetch(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *arguments)
            return json.loads(row[0])[0]["Plan"]

        [small] = await writer.fetch("SELECT id FROM workspaces WHERE name = 'w7'")
        usual = await plan(OF_EVENT, small["id"], "event.7")
        in_crowd = await plan(OF_EVENT, tenant.workspace, "event.7")
        too_many = await plan(OF_EVENT, tenant.workspace, "user.signup")
        crowded = await plan(MATCHING, tenant.workspace, "user.signup", ["", "list"], ["", "7"])
        for found in (usual, in_crowd, too_many, crowded):
            assert "rules_of_event" in index_conditions(found)
            assert "rules" not in scanned_whole(found)
        for found in (usual, crowded):
            assert scanned_whole(found) == []
        # Resource and id narrow the index's range; they don't filter what was read.
        assert "resource_id" in index_conditions(crowded)["rules_of_event"]
        assert crowded["Actual Rows"] == 1
    assert len(await tenant.matched(resource="list", resource_id="7")) == 1
