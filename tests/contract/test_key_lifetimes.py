"""Machine keys end by themselves when they were made to, and tell when they were last used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from catalog import Catalog
from catalog.changes import CHANNEL
from catalog.errors import InvalidValue, NotFound
from tests.conftest import on_server
from tests.contract.catalog_samples import opened
from tests.integration.stack import eventually


@pytest.fixture
async def catalog(database):
    async with opened(database) as catalog:
        yield catalog


@pytest.fixture
async def organization(catalog: Catalog) -> str:
    return (await catalog.organizations.default()).id


async def test_an_expired_key_is_unknown_even_where_it_is_held(
    catalog: Catalog, organization: str, database: str
):
    ends = datetime.now(UTC) + timedelta(days=90)
    made = await catalog.machine_keys.create(
        organization, name="ci", created_by="test", expires_at=ends
    )
    assert (await catalog.api_key_lookup.machine(made.key.access_key)).expires_at == ends
    await on_server(database, "UPDATE machine_keys SET expires_at = clock_timestamp()")

    async def unknown() -> bool:
        try:
            await catalog.api_key_lookup.machine(made.key.access_key)
        except NotFound:
            return True
        return False

    await eventually(unknown)


async def test_a_key_can_not_be_made_to_end_in_the_past(catalog: Catalog, organization: str):
    with pytest.raises(InvalidValue, match="expires_at"):
        await catalog.machine_keys.create(
            organization, name="ci", created_by="test", expires_at=datetime.now(UTC)
        )


async def test_the_last_use_is_noted_once_an_hour_and_empties_no_cache(
    catalog: Catalog, organization: str, database: str
):
    announced: list[str] = []
    catalog.changes.subscribe(announced.append)

    async def announced_before(mark: str) -> list[str]:
        """List what was announced before now: notifications arrive in the order of commits."""
        await on_server(database, "SELECT pg_notify($1, $2)", CHANNEL, mark)

        async def arrived() -> bool:
            return mark in announced

        await eventually(arrived)
        return announced[: announced.index(mark)]

    made = await catalog.machine_keys.create(organization, name="ci", created_by="test")
    assert "keys" in await announced_before("created")
    announced.clear()
    assert (await catalog.machine_keys.list(organization))[0].last_used_at is None
    uses = catalog.api_key_lookup.uses
    uses.note(made.key.id)
    await uses.written()
    [first] = await catalog.machine_keys.list(organization)
    assert first.last_used_at is not None
    uses.note(made.key.id)
    await uses.written()
    [again] = await catalog.machine_keys.list(organization)
    assert again.last_used_at == first.last_used_at
    assert await announced_before("used") == []
