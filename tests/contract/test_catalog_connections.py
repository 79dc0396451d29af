"""What connections and their credentials promise."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import uuid

import pytest
from pydantic import SecretStr

from catalog import Catalog
from catalog.changes import Changes
from catalog.connections import Connection
from catalog.credentials import ConnectionLookup
from catalog.encryption.cipher import CredentialCipher
from catalog.errors import (
    CannotDecrypt,
    CatalogUnavailable,
    Conflict,
    InvalidValue,
    NotFound,
)
from delivery.alert import LastResponse, Refusal
from destinations import registry
from destinations.customerio.build import DEFAULT_MAPPING
from tests.conftest import psql
from tests.contract.catalog_samples import CIPHER, HASHES, Tenant, opened
from tests.integration.stack import eventually


@pytest.fixture
def database(shared_database: str) -> str:
    return shared_database


async def credential(tenant: Tenant):
    return await tenant.catalog.credentials.credential(tenant.workspace, tenant.connection.id)


async def inactive(tenant: Tenant) -> Connection:
    """The tenant's connection, as the list of all that are inactive has it."""
    [own] = [
        one for one in await tenant.catalog.credentials.inactive() if one.id == tenant.connection.id
    ]
    return own


async def test_credential_is_what_was_given_and_shows_nothing_when_printed(tenant, database):
    found = await credential(tenant)
    assert found.secrets["cdpApiKey"].get_secret_value() == "cdp-key-1"
    assert (found.settings, found.status, found.version) == ({"region": "us"}, "active", 1)
    assert found.workspace == tenant.workspace
    assert "cdp-key-1" not in repr(found)
    async with psql(database) as reader:
        row = await reader.fetchrow("SELECT * FROM connections WHERE id = $1", tenant.connection.id)
    assert b"cdp-key-1" not in bytes(row["encrypted_key"])


async def test_credential_of_another_workspace_is_not_found(tenant):
    other = await Tenant.create(tenant.catalog, "Other")
    for workspace, connection in (
        (other.workspace, tenant.connection.id),
        (tenant.workspace, str(uuid.uuid4())),
        ("no-uuid", tenant.connection.id),
        (tenant.workspace, "\0"),
    ):
        with pytest.raises(NotFound):
            await tenant.catalog.credentials.credential(workspace, connection)


async def test_encrypted_key_copied_to_another_connection_does_not_open(tenant, database):
    other = await Tenant.create(tenant.catalog, "Other")
    async with psql(database) as writer:
        await writer.execute(
            "UPDATE connections SET encrypted_key = "
            "(SELECT encrypted_key FROM connections WHERE id = $1) WHERE id = $2",
            tenant.connection.id,
            other.connection.id,
        )

    async def refused() -> bool:
        try:
            await credential(other)
        except CannotDecrypt:
            return True
        return False

    await eventually(refused)


async def test_key_ring_without_the_key_cannot_decrypt(tenant, database):
    foreign = CredentialCipher({"k2": b"2" * 32})
    catalog = await Catalog.open(database, foreign, HASHES, registry)
    try:
        with pytest.raises(CannotDecrypt):
            await catalog.credentials.credential(tenant.workspace, tenant.connection.id)
    finally:
        await catalog.close()


async def test_replaced_key_is_the_next_ones_in_this_process_and_others(tenant, database):
    async with opened(database) as elsewhere:
        assert (await credential(tenant)).version == 1
        there = dataclasses.replace(tenant, catalog=elsewhere)
        assert (await credential(there)).version == 1

        connections = tenant.catalog.connections
        await connections.update(
            tenant.organization, tenant.connection.id, fields={"cdpApiKey": "cdp-key-2"}
        )
        found = await credential(tenant)
        assert (found.version, found.secrets["cdpApiKey"].get_secret_value()) == (2, "cdp-key-2")

        async def seen() -> bool:
            return (await credential(there)).secrets["cdpApiKey"] == SecretStr("cdp-key-2")

        await eventually(seen)


async def test_credential_is_answered_from_memory(tenant, database):
    async def answered_while_locked() -> bool:
        # On a busy machine what is known may be dropped just then, so it is tried again.
        await credential(tenant)
        async with psql(database) as writer, writer.transaction():
            await writer.execute("LOCK TABLE connections")
            with contextlib.suppress(CatalogUnavailable):
                return (await credential(tenant)).version == 1
        return False

    await eventually(answered_while_locked, within=60)


async def test_deactivate_holds_only_for_the_credential_that_was_refused(tenant):
    connections, credentials = tenant.catalog.connections, tenant.catalog.credentials
    connection = tenant.connection.id
    await credential(tenant)

    await connections.update(tenant.organization, connection, fields={"cdpApiKey": "cdp-key-2"})
    assert not await credentials.deactivate(connection, version=1)
    assert (await credential(tenant)).status == "active"

    assert await credentials.deactivate(connection, version=2)
    found = await credential(tenant)  # seen at once by the process that did it
    assert (found.status, found.inactive_reason) == ("inactive", "authentication_invalid")
    assert not await credentials.deactivate(connection, version=2)

    revived = await connections.update(
        tenant.organization, connection, fields={"cdpApiKey": "cdp-key-3"}
    )
    assert (revived.status, revived.inactive_reason, revived.credential_version) == (
        "active",
        None,
        3,
    )


async def test_the_refusal_is_kept_until_the_connection_is_active_again(tenant):
    connections, credentials = tenant.catalog.connections, tenant.catalog.credentials
    owned = (tenant.organization, tenant.connection.id)
    response = LastResponse(
        call="identify", outcome_code="auth_failed", status_code=401, message="401: wrong key"
    )
    refusal = Refusal(event_id="e1", rule="r1", response=response)
    revived = (
        lambda: connections.update(*owned, fields={"cdpApiKey": "cdp-key-2"}),
        lambda: connections.resume(*owned),
    )
    for version, revive in enumerate(revived, start=1):
        await credentials.deactivate(tenant.connection.id, version=version, refusal=refusal)
        assert (await inactive(tenant)).refusal == refusal
        assert (await revive()).refusal is None


async def test_it_is_inactive_since_its_status_changed_whatever_changes_later(tenant):
    connections, credentials = tenant.catalog.connections, tenant.catalog.credentials
    owned = (tenant.organization, tenant.connection.id)
    assert tenant.connection.inactive_since is None
    await credentials.deactivate(tenant.connection.id, version=1)
    refused = await inactive(tenant)
    assert refused.inactive_since == refused.updated_at
    renamed = await connections.update(*owned, name="Renamed")
    assert renamed.inactive_since == refused.inactive_since
    assert (await connections.resume(*owned)).inactive_since is None
    await credentials.deactivate(tenant.connection.id, version=1)
    again = await inactive(tenant)
    assert again.inactive_since == again.updated_at > refused.inactive_since


async def test_it_is_inactive_since_an_older_release_or_a_person_made_it_so(tenant, database):
    [statement, by_hand] = (
        "UPDATE connections SET status = 'inactive', inactive_reason = 'authentication_invalid'"
        f"{moment} WHERE id = $1"
        for moment in (", updated_at = clock_timestamp()", "")
    )
    owned = (tenant.organization, tenant.connection.id)
    async with psql(database) as writer:
        await writer.execute(statement, tenant.connection.id)
        first = await tenant.catalog.connections.get(*owned)
        assert first.inactive_since == first.updated_at
        resumed = await tenant.catalog.connections.resume(*owned)
        await writer.execute(by_hand, tenant.connection.id)
        second = await tenant.catalog.connections.get(*owned)
        assert second.inactive_since > resumed.updated_at


async def test_of_many_that_deactivate_at_once_one_does(tenant):
    deactivated = await asyncio.gather(
        *(tenant.catalog.credentials.deactivate(tenant.connection.id, version=1) for _ in range(10))
    )
    assert sorted(deactivated) == [False] * 9 + [True]


async def test_new_region_is_a_new_credential_and_revives(tenant):
    """Key and region belong together: a refusal may come from either being wrong."""
    await tenant.catalog.credentials.deactivate(tenant.connection.id, version=1)
    updated = await tenant.catalog.connections.update(
        tenant.organization, tenant.connection.id, fields={"region": "eu"}, name="Renamed"
    )
    assert (updated.settings, updated.name) == ({"region": "eu"}, "Renamed")
    assert (updated.status, updated.credential_version) == ("active", 2)
    assert (await credential(tenant)).secrets["cdpApiKey"].get_secret_value() == "cdp-key-1"


async def test_new_name_alone_neither_revives_nor_counts_as_new_credential(tenant):
    await tenant.catalog.credentials.deactivate(tenant.connection.id, version=1)
    updated = await tenant.catalog.connections.update(
        tenant.organization,
        tenant.connection.id,
        name="Renamed",
        fields={"region": "us"},
        hidden=True,
    )
    assert (updated.status, updated.credential_version, updated.hidden) == ("inactive", 1, True)


async def test_new_key_leaves_a_pause_and_what_its_receiver_has_ended_alone(tenant):
    connections, credentials = tenant.catalog.connections, tenant.catalog.credentials
    owned = (tenant.organization, tenant.connection.id)
    await connections.pause(*owned)
    assert (await connections.update(*owned, fields={"cdpApiKey": "cdp-key-2"})).status == "paused"
    await connections.resume(*owned)
    ended = "manually_inactivated"
    assert await credentials.deactivate(tenant.connection.id, version=2, reason=ended)
    assert (
        await connections.update(*owned, fields={"cdpApiKey": "cdp-key-3"})
    ).status == "inactive"


async def test_pause_and_resume(tenant):
    connections = tenant.catalog.connections
    owned = (tenant.organization, tenant.connection.id)
    assert (await connections.pause(*owned)).status == "paused"
    assert (await connections.pause(*owned)).status == "paused"
    assert (await credential(tenant)).status == "paused"
    assert not await tenant.catalog.credentials.deactivate(tenant.connection.id, version=1)
    assert (await connections.resume(*owned)).active
    await tenant.catalog.credentials.deactivate(tenant.connection.id, version=1)
    with pytest.raises(Conflict, match="inactive"):
        await connections.pause(*owned)
    assert (await connections.resume(*owned)).inactive_reason is None


async def test_connection_with_active_rules_is_deleted_only_by_force(tenant):
    connections = tenant.catalog.connections
    owned = (tenant.organization, tenant.connection.id)
    rule = await tenant.rule()
    assert await tenant.matched() == [rule.id]
    with pytest.raises(Conflict, match="1 active rules"):
        await connections.delete(*owned)
    assert (await connections.delete(*owned, force=True)).id == tenant.connection.id
    assert await tenant.matched() == []
    with pytest.raises(NotFound):
        await credential(tenant)
    with pytest.raises(NotFound):
        await tenant.catalog.rules.get(tenant.organization, rule.id)


async def test_connection_with_inactive_rules_is_deleted_without_force(tenant):
    await tenant.rule(active=False)
    await tenant.catalog.connections.delete(tenant.organization, tenant.connection.id)


async def test_another_organization_finds_nothing(tenant):
    other = await Tenant.create(tenant.catalog, "Other")
    connections, mappings = tenant.catalog.connections, tenant.catalog.mappings
    foreign = (other.organization, tenant.connection.id)
    for attempt in (
        connections.get(*foreign),
        connections.update(*foreign, name="Stolen"),
        connections.update(*foreign, fields={"cdpApiKey": "stolen"}),
        connections.pause(*foreign),
        connections.resume(*foreign),
        connections.delete(*foreign, force=True),
        mappings.default(*foreign),
        mappings.put_default(*foreign, schema=DEFAULT_MAPPING),
        connections.create(
            other.organization,
            workspace=tenant.workspace,
            name="Intruder",
            type="customer_io",
            fields={"region": "us", "cdpApiKey": "key"},
            created_by="test",
        ),
    ):
        with pytest.raises(NotFound):
            await attempt
    listed = await connections.list(other.organization, workspace=tenant.workspace)
    assert listed.records == ()
    assert [found.id for found in (await connections.list(other.organization)).records] == [
        other.connection.id
    ]
    assert await connections.get(tenant.organization, tenant.connection.id) == tenant.connection


@pytest.mark.parametrize(
    "name", ["Customer.io", "Prüfung (EU) & más", "顧客 📣", "[bold]", "é" * 80, "x" * 128, "<b>"]
)
async def test_connection_is_called_what_people_write(tenant, name):
    owned = (tenant.organization, tenant.connection.id)
    assert (await tenant.catalog.connections.update(*owned, name=name)).name == name
    assert (await tenant.catalog.connections.get(*owned)).name == name


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 129),
        ("name", "é" * 81),
        ("name", " "),
        ("name", "line\n"),
        ("name", "right\u202eleft"),
        ("name", "half \ud83d"),
        ("name", "nul\0"),
        ("metadata.region", "ap"),
        ("metadata.cdpApiKey", ""),
        ("metadata.cdpApiKey", "two words"),
        ("metadata.cdpApiKey", "user:password"),
        ("metadata.cdpApiKey", "nul\0"),
        ("metadata.cdpApiKey", "x" * 257),
        ("type", "pipedrive"),
        ("created_by", "nul\0"),
    ],
)
async def test_wrong_value_is_refused_by_its_field(tenant, field, value):
    given = {
        "workspace": tenant.workspace,
        "type": "customer_io",
        "name": "A name",
        "fields": {"region": "us", "cdpApiKey": "key"},
        "created_by": "test",
    }
    key = field.removeprefix("metadata.")
    given |= {field: value} if key == field else {"fields": given["fields"] | {key: value}}
    with pytest.raises(InvalidValue) as caught:
        await tenant.catalog.connections.create(tenant.organization, **given)
    assert caught.value.field == field
    if key == "cdpApiKey" and value:
        assert value not in str(caught.value)


async def test_key_is_stored_without_the_blanks_that_came_with_copying(tenant):
    await tenant.catalog.connections.update(
        tenant.organization, tenant.connection.id, fields={"cdpApiKey": " cdp-key-2\n"}
    )
    assert (await credential(tenant)).secrets["cdpApiKey"].get_secret_value() == "cdp-key-2"


async def test_lookup_without_database_is_unavailable_not_wrong(tenant, database):
    async def connect():
        raise OSError("no listener either")

    changes = Changes(connect)
    await changes.start()
    try:
        lookup = ConnectionLookup(tenant.catalog.pool, changes, CIPHER, registry)
        assert (await lookup.credential(tenant.workspace, tenant.connection.id)).version == 1
        await tenant.catalog.close()
        with pytest.raises(CatalogUnavailable):
            await lookup.credential(tenant.workspace, tenant.connection.id)
    finally:
        await changes.stop()


async def test_rate_is_set_kept_and_taken_back(tenant):
    connections, id = tenant.catalog.connections, tenant.connection.id
    assert (await credential(tenant)).requests_per_second is None
    await connections.update(tenant.organization, id, requests_per_second=20)
    await connections.update(tenant.organization, id, name="Renamed")
    assert (await credential(tenant)).requests_per_second == 20
    assert (await connections.get(tenant.organization, id)).credential_version == 1
    await connections.update(tenant.organization, id, requests_per_second=0)
    assert (await credential(tenant)).requests_per_second is None
    for rate in (-1, 100_001):
        with pytest.raises(InvalidValue, match="requests_per_second"):
            await connections.update(tenant.organization, id, requests_per_second=rate)


async def test_slowing_down_is_seen_by_others_and_never_shortened(tenant):
    assert (await credential(tenant)).slowed_until is None
    await tenant.catalog.credentials.slow_down(tenant.connection.id, 60)

    async def seen():
        return (await credential(tenant)).slowed_until is not None

    await eventually(seen)
    first = (await credential(tenant)).slowed_until
    await tenant.catalog.credentials.slow_down(tenant.connection.id, 1)
    tenant.catalog.changes.announce(tenant.workspace)  # so that it is read anew
    later = await credential(tenant)
    assert abs((later.slowed_until - first).total_seconds()) < 5
