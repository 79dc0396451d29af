"""A connection holds what its destination's fields say, whichever they are."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from catalog import Catalog
from catalog.encryption.cipher import CredentialCipher
from catalog.errors import CannotDecrypt, InvalidValue
from delivery.credential import ConnectionCredential
from destinations import registry
from tests.conftest import psql
from tests.contract.catalog_samples import HASHES, Tenant, opened

ENTERED = {
    "address": "http://127.0.0.1:1/",
    "scheme": "basic",
    "user": "ada",
    "password": "the-password",
    "seal": "the-seal",
}


@pytest.fixture
def database(shared_database: str) -> str:
    return shared_database


@pytest_asyncio.fixture
async def tenant(tiny: None, database: str) -> AsyncIterator[Tenant]:
    """Its connection has two settings and two secrets that come and go, and one that stays."""
    async with opened(database) as catalog:
        tenant = await Tenant.create(catalog)
        made = await catalog.connections.create(
            tenant.organization,
            workspace=tenant.workspace,
            type="tiny_notes",
            name="Notes",
            fields=ENTERED,
            created_by="test",
        )
        yield dataclasses.replace(tenant, connection=made)


async def change(tenant: Tenant, **fields: str) -> ConnectionCredential:
    await tenant.catalog.connections.update(
        tenant.organization, tenant.connection.id, fields=fields
    )
    return await credential(tenant)


async def credential(tenant: Tenant) -> ConnectionCredential:
    return await tenant.catalog.credentials.credential(tenant.workspace, tenant.connection.id)


def secrets(found: ConnectionCredential) -> dict[str, str]:
    return {key: secret.get_secret_value() for key, secret in found.secrets.items()}


async def test_secrets_are_kept_together_and_none_is_readable(tenant: Tenant, database: str):
    found = await credential(tenant)
    assert found.settings == {"address": "http://127.0.0.1:1", "scheme": "basic", "user": "ada"}
    assert secrets(found) == {"password": "the-password", "seal": "the-seal"}
    assert tenant.connection.settings == found.settings
    assert "the-" not in repr(found) + repr(tenant.connection)
    async with psql(database) as reader:
        row = await reader.fetchrow("SELECT * FROM connections WHERE id = $1", tenant.connection.id)
    assert "the-" not in str(dict(row))


async def test_what_is_left_out_stays(tenant: Tenant):
    found = await change(tenant, user="bob")
    assert (found.settings["user"], found.version) == ("bob", 2)
    assert secrets(found) == {"password": "the-password", "seal": "the-seal"}
    found = await change(tenant, password="another")
    assert (secrets(found), found.version) == ({"password": "another", "seal": "the-seal"}, 3)
    assert (await change(tenant, user="bob")).version == 3


async def test_an_empty_optional_field_is_cleared_and_a_required_one_refused(tenant: Tenant):
    found = await change(tenant, seal="")
    assert (secrets(found), found.version) == ({"password": "the-password"}, 2)
    for key in ("user", "password"):
        with pytest.raises(InvalidValue, match="blank") as caught:
            await change(tenant, **{key: " "})
        assert caught.value.field == f"metadata.{key}"
    assert (await credential(tenant)).version == 2


async def test_what_no_longer_belongs_to_it_is_not_kept(tenant: Tenant):
    found = await change(tenant, scheme="none", seal="")
    assert (found.settings, secrets(found)) == (
        {"address": "http://127.0.0.1:1", "scheme": "none"},
        {},
    )
    with pytest.raises(InvalidValue, match="missing") as caught:
        await change(tenant, scheme="basic", user="ada")
    assert caught.value.field == "metadata.password"


async def test_a_field_of_another_destination_is_refused(tenant: Tenant):
    with pytest.raises(InvalidValue, match="is not a field of Tiny Notes; it has address"):
        await change(tenant, cdpApiKey="key")


async def test_a_single_secret_may_look_like_several(tenant: Tenant):
    """A service account's key is a JSON object itself."""
    text = '{"password": "x"}'
    made = await tenant.catalog.connections.create(
        tenant.organization,
        workspace=tenant.workspace,
        type="tiny_tags",
        name="Tags",
        fields={"address": "http://127.0.0.1:1", "token": text},
        created_by="test",
    )
    assert secrets(await credential(dataclasses.replace(tenant, connection=made))) == {
        "token": text
    }


async def test_without_the_key_ring_s_key_secrets_are_replaced_all_or_none(
    tenant: Tenant, database: str
):
    foreign = CredentialCipher({"k2": b"2" * 32})
    catalog = await Catalog.open(database, foreign, HASHES, registry)
    lost = dataclasses.replace(tenant, catalog=catalog)
    try:
        with pytest.raises(CannotDecrypt):
            await change(lost, seal="new")
        found = await change(lost, seal="new", password="new")
        assert secrets(found) == {"password": "new", "seal": "new"}
    finally:
        await catalog.close()
