"""Keys: in the formats that Meshes' clients check, secret once, gone when revoked."""

from __future__ import annotations

import re
import uuid

import pytest

from catalog import Catalog
from catalog.errors import InvalidValue, NotFound
from catalog.rule_change import RuleChange
from tests.conftest import on_server, psql
from tests.contract.catalog_samples import all_changes_heard, opened
from tests.integration.stack import eventually

PUBLISHABLE = re.compile(r"^mesh_pub_([A-Za-z0-9\-.]+)_([A-Za-z0-9\-.]+)_([^_]+)$")
ORGANIZATION = re.compile(
    r"^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$", re.IGNORECASE
)
ACCESS = re.compile(r"^mk_[A-Za-z0-9_-]{22,}$")
SECRET = re.compile(r"^[A-Za-z0-9_-]{43,}$")


@pytest.fixture
async def catalog(database):
    async with opened(database) as catalog:
        yield catalog


@pytest.fixture
async def organization(catalog: Catalog) -> str:
    return (await catalog.organizations.default()).id


async def test_keys_have_the_formats_that_clients_check(catalog: Catalog, organization: str):
    workspace = await catalog.workspaces.create(organization, name="Acme app")
    public = await catalog.publishable_keys.current(organization, workspace.id)
    machine = await catalog.machine_keys.create(organization, name="ci", created_by="test")
    assert public is not None
    assert PUBLISHABLE.match(public.public_key)
    assert ORGANIZATION.match(organization)
    assert ACCESS.match(machine.key.access_key)
    assert SECRET.match(machine.secret_key.get_secret_value())


async def test_secret_is_encrypted_at_rest_and_forgotten_when_revoked(
    catalog: Catalog, organization: str, database: str
):
    made = await catalog.machine_keys.create(organization, name="ci", created_by="test")
    secret = made.secret_key.get_secret_value()
    async with psql(database) as conn:
        row = await conn.fetchrow("SELECT * FROM machine_keys")
        assert secret.encode() not in row["encrypted_secret"]
        assert secret not in repr(dict(row))
        assert secret not in repr(made)
        await catalog.machine_keys.revoke(organization, made.key.id)
        row = await conn.fetchrow("SELECT * FROM machine_keys")
    assert row["encrypted_secret"] is None
    assert row["revoked_at"] is not None


async def test_revoked_keys_are_unknown_at_once(catalog: Catalog, organization: str):
    workspace = await catalog.workspaces.create(organization, name="Acme app")
    public = await catalog.publishable_keys.current(organization, workspace.id)
    made = await catalog.machine_keys.create(organization, name="ci", created_by="test")
    lookup = catalog.api_key_lookup
    assert public is not None
    assert (await lookup.publishable(public.public_key)).workspace == workspace.id
    assert (await lookup.machine(made.key.access_key)).organization == organization
    await catalog.publishable_keys.revoke(organization, public.id)
    await catalog.machine_keys.revoke(organization, made.key.id)
    with pytest.raises(NotFound):
        await lookup.publishable(public.public_key)
    with pytest.raises(NotFound):
        await lookup.machine(made.key.access_key)
    assert await catalog.publishable_keys.current(organization, workspace.id) is None


async def test_lookups_ask_the_database_once(catalog: Catalog, organization: str, database: str):
    workspace = await catalog.workspaces.create(organization, name="Acme app")
    made = await catalog.machine_keys.create(organization, name="ci", created_by="test")
    await all_changes_heard(catalog, database)
    lookup = catalog.api_key_lookup
    first = await lookup.machine(made.key.access_key)
    await lookup.require_workspace(organization, workspace.id)
    assert await lookup.machine(made.key.access_key) is first
    await on_server(database, "ALTER TABLE machine_keys RENAME TO elsewhere")
    await on_server(database, "ALTER TABLE workspaces RENAME TO nowhere")
    assert await lookup.machine(made.key.access_key) is first
    assert await lookup.require_workspace(organization, workspace.id.upper()) == workspace.id


async def test_change_by_another_process_is_heard(
    catalog: Catalog, organization: str, database: str
):
    made = await catalog.machine_keys.create(organization, name="ci", created_by="test")
    await catalog.api_key_lookup.machine(made.key.access_key)
    async with opened(database) as elsewhere:
        await elsewhere.machine_keys.revoke(organization, made.key.id)

    async def unknown() -> bool:
        try:
            await catalog.api_key_lookup.machine(made.key.access_key)
        except NotFound:
            return True
        return False

    await eventually(unknown)


async def test_keys_of_others_are_not_found(catalog: Catalog, organization: str):
    other = (await catalog.organizations.create("Other")).id
    workspace = await catalog.workspaces.create(organization, name="Acme app")
    made = await catalog.machine_keys.create(organization, name="ci", created_by="test")
    public = await catalog.publishable_keys.current(organization, workspace.id)
    assert public is not None
    for attempt in (
        catalog.machine_keys.revoke(other, made.key.id),
        catalog.publishable_keys.revoke(other, public.id),
        catalog.publishable_keys.create(other, workspace=workspace.id, name="x", created_by="test"),
        catalog.api_key_lookup.require_workspace(other, workspace.id),
        catalog.api_key_lookup.require_workspace(organization, str(uuid.uuid4())),
        catalog.api_key_lookup.require_workspace(organization, "no uuid"),
        catalog.machine_keys.create(str(uuid.uuid4()), name="ci", created_by="test"),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await catalog.publishable_keys.current(other, workspace.id) is None
    assert await catalog.machine_keys.list(other) == []
    assert [key.id for key in await catalog.publishable_keys.list(organization)] == [public.id]


@pytest.mark.parametrize("name", ["", "x" * 101, "a\0b"])
async def test_names_that_can_not_be_kept_are_refused(
    catalog: Catalog, organization: str, name: str
):
    with pytest.raises(InvalidValue, match="name:"):
        await catalog.machine_keys.create(organization, name=name, created_by="test")


async def test_rule_is_changed_where_asked_and_nowhere_else(catalog: Catalog, organization: str):
    workspace = await catalog.workspaces.create(organization, name="Acme app")
    owned = {"workspace": workspace.id, "created_by": "test"}
    to = await catalog.connections.create(
        organization,
        type="customer_io",
        name="cio",
        fields={"region": "us", "cdpApiKey": "key"},
        **owned,
    )
    rule = await catalog.rules.create(
        organization,
        connection=to.id,
        event="user.signup",
        resource="account",
        metadata={"action": "track_event", "note": "kept"},
        **owned,
    )
    changed = await catalog.rules.update(
        organization, rule.id, RuleChange(event="user.joined", resource=None)
    )
    assert (changed.event, changed.resource, changed.active) == ("user.joined", None, True)
    assert changed.metadata == rule.metadata
    assert changed.updated_at > rule.updated_at
    with pytest.raises(InvalidValue, match="event:"):
        await catalog.rules.update(organization, rule.id, RuleChange(event=" "))
