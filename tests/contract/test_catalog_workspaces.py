"""What organizations and workspaces promise."""

from __future__ import annotations

import asyncio
import uuid

import pytest
import pytest_asyncio

from catalog.errors import Conflict, InvalidValue, NotFound
from tests.contract.catalog_samples import opened


@pytest_asyncio.fixture
async def catalog(database):
    async with opened(database) as catalog:
        yield catalog


async def test_default_organization_is_made_once_by_however_many_ask(catalog, database):
    async with opened(database) as elsewhere:
        found = await asyncio.gather(
            *(where.organizations.default() for where in (catalog, elsewhere) * 5)
        )
    assert len({organization.id for organization in found}) == 1
    assert uuid.UUID(found[0].id).version == 4


async def test_workspace_is_read_as_it_was_written(catalog):
    organization = (await catalog.organizations.default()).id
    workspace = await catalog.workspaces.create(organization, name="Acme app", description="Ünï")
    assert await catalog.workspaces.get(organization, workspace.id) == workspace
    updated = await catalog.workspaces.update(organization, workspace.id, name="Acme 2")
    assert (updated.name, updated.description) == ("Acme 2", None)
    assert updated.updated_at > workspace.updated_at


async def test_name_is_unique_in_its_organization_only(catalog):
    first = (await catalog.organizations.create("First")).id
    second = (await catalog.organizations.create("Second")).id
    await catalog.workspaces.create(first, name="Acme app")
    await catalog.workspaces.create(second, name="Acme app")
    other = await catalog.workspaces.create(first, name="Other app")
    with pytest.raises(Conflict, match="'Acme app' already"):
        await catalog.workspaces.create(first, name="Acme app")
    with pytest.raises(Conflict):
        await catalog.workspaces.update(first, other.id, name="Acme app")


async def test_another_organization_finds_nothing(catalog):
    first = (await catalog.organizations.create("First")).id
    second = (await catalog.organizations.create("Second")).id
    workspace = await catalog.workspaces.create(first, name="Acme app")
    for attempt in (
        catalog.workspaces.get(second, workspace.id),
        catalog.workspaces.update(second, workspace.id, name="Stolen"),
        catalog.workspaces.create(str(uuid.uuid4()), name="Nobody"),
        catalog.workspaces.get(first, "no-uuid"),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert (await catalog.workspaces.list(second)).records == ()


async def test_list_is_paged_newest_first(catalog):
    organization = (await catalog.organizations.default()).id
    names = [f"Workspace {n}" for n in range(5)]
    for name in names:
        await catalog.workspaces.create(organization, name=name)
    first = await catalog.workspaces.list(organization, limit=3)
    assert first.next_cursor is not None
    second = await catalog.workspaces.list(organization, limit=3, cursor=first.next_cursor)
    assert second.next_cursor is None
    listed = [workspace.name for workspace in first.records + second.records]
    assert listed == names[::-1]


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "ab"},
        {"name": "x" * 51},
        {"name": "nul\0 nul"},
        {"name": "line\n"},
        {"name": "Acme app", "description": "x" * 1025},
        {"name": "Acme app", "description": "\0"},
        {"name": "Acme app", "description": "\ud800"},
    ],
)
async def test_wrong_value_is_refused_by_its_field(catalog, fields):
    organization = (await catalog.organizations.default()).id
    with pytest.raises(InvalidValue) as caught:
        await catalog.workspaces.create(organization, **fields)
    assert caught.value.field == list(fields)[-1]
