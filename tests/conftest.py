"""A real PostgreSQL for the tests: `EMITONCE_TEST_DATABASE_URL` names one, or it is embedded."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest_asyncio

from catalog.database import open_pool
from catalog.embedded import EmbeddedPostgres
from catalog.migrate import migrate


@pytest_asyncio.fixture(scope="session")
async def postgres_dsn(tmp_path_factory) -> AsyncIterator[str]:
    """The URL of a server on which the user may create databases."""
    given = os.environ.get("EMITONCE_TEST_DATABASE_URL")
    if given:
        yield given
        return
    data_dir: Path = tmp_path_factory.mktemp("postgres")
    server = await EmbeddedPostgres.start(data_dir, durable=False)
    yield server.dsn
    await server.stop()


@pytest_asyncio.fixture(scope="session")
async def migrated_template(postgres_dsn: str) -> AsyncIterator[str]:
    """The name of a migrated database, for `CREATE DATABASE … TEMPLATE`."""
    name = f"emitonce_template_{secrets.token_hex(4)}"
    await on_server(postgres_dsn, f"CREATE DATABASE {name}")
    pool = await open_pool(database_url(postgres_dsn, name))
    await migrate(pool)
    await pool.close()
    yield name
    await on_server(postgres_dsn, f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture
async def database(postgres_dsn: str, migrated_template: str) -> AsyncIterator[str]:
    """The URL of a migrated, empty database of the test's own."""
    name = f"emitonce_test_{secrets.token_hex(4)}"
    await on_server(postgres_dsn, f"CREATE DATABASE {name} TEMPLATE {migrated_template}")
    yield database_url(postgres_dsn, name)
    await on_server(postgres_dsn, f"DROP DATABASE {name} WITH (FORCE)")


async def on_server(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def database_url(dsn: str, name: str) -> str:
    """The same server's URL for another database."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))
