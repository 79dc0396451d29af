"""Migrations are applied once, in order, whoever starts at the same time, and never rewritten."""

from __future__ import annotations

import asyncio
import multiprocessing
import secrets
import shutil
from pathlib import Path

import pytest
import pytest_asyncio

from catalog import Catalog
from catalog.database import open_pool
from catalog.errors import CatalogUnavailable, InvalidValue, SchemaMismatch
from catalog.migrate import MIGRATIONS, migrate, pending
from destinations import registry
from tests.conftest import database_url, on_server, psql
from tests.contract.catalog_samples import CIPHER, HASHES, opened


@pytest_asyncio.fixture
async def empty(postgres_dsn):
    """The URL of a database without tables."""
    name = f"emitonce_test_{secrets.token_hex(4)}"
    await on_server(postgres_dsn, f"CREATE DATABASE {name}")
    yield database_url(postgres_dsn, name)
    await on_server(postgres_dsn, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "0001_first.sql").write_text("CREATE TABLE first (id int); SELECT 1;")
    (tmp_path / "0002_second.sql").write_text("ALTER TABLE first ADD COLUMN more int;")
    (tmp_path / "README.md").write_text("not a migration")
    return tmp_path


async def test_each_is_applied_once_and_in_order(empty, directory):
    async with await open_pool(empty) as pool:
        assert await pending(pool, directory=directory) == ["0001_first.sql", "0002_second.sql"]
        assert await migrate(pool, directory=directory) == ["0001_first.sql", "0002_second.sql"]
        assert await pending(pool, directory=directory) == []
        (directory / "0003_third.sql").write_text("DROP TABLE first;")
        assert await migrate(pool, directory=directory) == ["0003_third.sql"]


async def test_changed_migration_is_refused(empty, directory):
    async with await open_pool(empty) as pool:
        await migrate(pool, directory=directory)
        (directory / "0001_first.sql").write_text("CREATE TABLE first (id bigint);")
        for check in (migrate, pending):
            with pytest.raises(SchemaMismatch, match=r"changed after .* 0001_first\.sql"):
                await check(pool, directory=directory)


async def test_release_runs_on_a_newer_database(empty, directory, caplog):
    async with await open_pool(empty) as pool:
        await migrate(pool, directory=directory)
        (directory / "0002_second.sql").unlink()
        for check in (migrate, pending):
            caplog.clear()
            assert await check(pool, directory=directory) == []
            assert "newer than this release" in caplog.text
            assert "0002_second.sql" in caplog.text


async def test_breaking_migration_is_refused_by_releases_before_it(empty, directory):
    breaking = directory / "0002_second.sql"
    breaking.write_text("-- breaking: nobody reads it any more\nALTER TABLE first DROP COLUMN id;")
    async with await open_pool(empty) as pool:
        await migrate(pool, directory=directory)
        breaking.unlink()
        for check in (migrate, pending):
            with pytest.raises(SchemaMismatch, match=r"newer than .* 0002_second\.sql"):
                await check(pool, directory=directory)


async def test_database_of_the_first_release_is_migrated(empty, directory):
    async with await open_pool(empty) as pool:
        await migrate(pool, directory=directory)
        await pool.execute("ALTER TABLE schema_migrations DROP COLUMN breaking")
        assert await pending(pool, directory=directory) == []
        (directory / "0003_third.sql").write_text("DROP TABLE first;")
        assert await migrate(pool, directory=directory) == ["0003_third.sql"]


async def test_failed_migration_leaves_nothing_of_itself(empty, directory):
    (directory / "0002_second.sql").write_text("CREATE TABLE half (id int); SELECT nonsense;")
    async with await open_pool(empty) as pool:
        with pytest.raises(Exception, match="nonsense"):
            await migrate(pool, directory=directory)
        assert await pool.fetchval("SELECT to_regclass('half')") is None
        assert await pending(pool, directory=directory) == ["0002_second.sql"]
        (directory / "0002_second.sql").write_text("CREATE TABLE half (id int);")
        assert await migrate(pool, directory=directory) == ["0002_second.sql"]


def _migrate_in_a_process(dsn: str) -> list[str]:
    async def run() -> list[str]:
        async with await open_pool(dsn) as pool:
            return await migrate(pool)

    return asyncio.run(run())


@pytest.mark.slow
async def test_processes_that_migrate_at_once_apply_each_once(empty):
    with multiprocessing.get_context("spawn").Pool(3) as processes:
        applied = await asyncio.to_thread(processes.map, _migrate_in_a_process, [empty] * 3)
    names = sorted(path.name for path in MIGRATIONS.glob("*.sql"))
    assert sorted(applied) == [[], [], names]


async def test_catalog_does_not_open_on_an_unmigrated_database(empty):
    with pytest.raises(SchemaMismatch, match="emitonce migrate"):
        await Catalog.open(empty, CIPHER, HASHES, registry)
    async with psql(empty) as connection:
        listeners = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name LIKE 'emitonce%'"
        )
        assert listeners == 0


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://user:hunter2@127.0.0.1:1/emitonce",
        "postgresql://user:hunter2@/emitonce?host=/nonexistent",
    ],
)
async def test_absent_database_is_unavailable_without_telling_the_password(dsn):
    with pytest.raises(CatalogUnavailable) as caught:
        await Catalog.open(dsn, CIPHER, HASHES, registry)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("dsn", ["mysql://user:hunter2@host/db", "postgresql://u:hunter2@h:x/d"])
async def test_url_of_something_else_is_refused_without_repeating_it(dsn):
    with pytest.raises(InvalidValue) as caught:
        await Catalog.open(dsn, CIPHER, HASHES, registry)
    assert "hunter2" not in str(caught.value)


async def test_unknown_database_is_unavailable(empty):
    with pytest.raises(CatalogUnavailable):
        await Catalog.open(database_url(empty, "emitonce_nowhere"), CIPHER, HASHES, registry)


@pytest.mark.parametrize("in_use", [True, False])
async def test_only_a_catalog_in_use_reckons_with_an_older_api(empty, tmp_path, in_use):
    for file in MIGRATIONS.glob("*.sql"):
        if file.name < "0050":
            shutil.copy(file, tmp_path)
    async with await open_pool(empty) as pool:
        await migrate(pool, directory=tmp_path)
        if in_use:
            await pool.execute(
                "WITH o AS (INSERT INTO organisations (name) VALUES ('Acme') RETURNING id), "
                "w AS (INSERT INTO workspaces (organisation_id, name) SELECT id, 'app' FROM o "
                "RETURNING id) INSERT INTO publishable_keys (workspace_id, public_key, name, "
                "created_by) SELECT id, 'mesh_pub_a_b_c', 'web', 'test' FROM w"
            )
        await migrate(pool)
    async with opened(empty) as catalog:
        if in_use:
            caller = await catalog.api_key_lookup.publishable("mesh_pub_a_b_c")
            assert caller.may_meet_older_api()
            assert caller.may_find_older_events()
        organization = (await catalog.organizations.default()).id
        workspace = await catalog.workspaces.create(organization, name="New app")
        key = await catalog.publishable_keys.current(organization, workspace.id)
        caller = await catalog.api_key_lookup.publishable(key.public_key)
        assert caller.may_meet_older_api() is in_use
        assert caller.may_find_older_events() is in_use
