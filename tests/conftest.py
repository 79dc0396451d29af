"""The real parts that tests share: PostgreSQL, a Temporal server, and all of it wired together.

`EMITONCE_TEST_DATABASE_URL` and `EMITONCE_TEST_TEMPORAL` name servers to use; without them an
embedded PostgreSQL and a Temporal server of the test run's own are started when first asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import secrets
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import pytest_asyncio
from temporalio.client import Client

from destinations.registry import BY_TYPE
from engine.connect import connect
from engine.search_attributes import register_search_attributes
from process import migrate_database
from starter.dev.postgres import EmbeddedPostgres
from starter.dev.temporal_server import DevServer
from tests.integration.stack import Stack, open_stack
from tests.left_behind import not_left_behind
from tests.tiny_destinations import TINY

# Schemathesis' pytest plugin imports this when a session ends, and pytest compiles it then. After
# tests of very deep JSON, Python 3.11 may refuse to compile anything: "AST constructor recursion
# depth mismatch". Imported here, it has been compiled before.
with contextlib.suppress(ImportError):
    import_module("schemathesis.reporting.allure")

UNIT = Path(__file__).parent / "unit"

# Every HTTP client reads the certificates that it trusts, some 30 ms of a core each time.
ssl.create_default_context = functools.cache(ssl.create_default_context)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slow files first and the unit tests last.

    Two processes run one file after the other, so neither is left with a slow one at the end.
    """
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path not in long, UNIT in item.path.parents))


@pytest_asyncio.fixture(scope="session")
async def postgres_dsn() -> AsyncIterator[str]:
    """The URL of a server on which the user may create databases."""
    given = os.environ.get("EMITONCE_TEST_DATABASE_URL")
    if given:
        yield given
        return
    # Not in pytest's own directory: each pytest that starts takes away the right to pass through
    # it, which a server that runs as another user than root needs.
    with tempfile.TemporaryDirectory(prefix="emitonce-test-") as data_dir:
        server = await EmbeddedPostgres.start(Path(data_dir), durable=False)
        pid = int((Path(data_dir) / "pgdata" / "postmaster.pid").read_text().split()[0])
        with not_left_behind(pid):
            yield server.dsn
            await server.stop()


@pytest_asyncio.fixture(scope="session")
async def migrated_template(postgres_dsn: str) -> AsyncIterator[str]:
    """The name of a migrated database, for `CREATE DATABASE … TEMPLATE`."""
    name = f"emitonce_template_{secrets.token_hex(4)}"
    await on_server(postgres_dsn, f"CREATE DATABASE {name}")
    await migrate_database(database_url(postgres_dsn, name))
    yield name
    if (ahead := _made_ahead.pop(name, None)) is not None:
        await on_server(postgres_dsn, f"DROP DATABASE {await ahead} WITH (FORCE)")
    await on_server(postgres_dsn, f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture
async def database(postgres_dsn: str, migrated_template: str) -> AsyncIterator[str]:
    """The URL of a migrated, empty database of the test's own."""
    async with new_database(postgres_dsn, migrated_template) as dsn:
        yield dsn


@pytest_asyncio.fixture(scope="module")
async def shared_database(postgres_dsn: str, migrated_template: str) -> AsyncIterator[str]:
    """The same for a whole module, where tests are many and small and do not meet each other."""
    async with new_database(postgres_dsn, migrated_template) as dsn:
        yield dsn


@pytest_asyncio.fixture(scope="session")
async def temporal(tmp_path_factory) -> AsyncIterator[Client]:
    """A client of the server that all tests share; each works on a task queue of its own."""
    given = os.environ.get("EMITONCE_TEST_TEMPORAL")
    if given:
        client = await connect(given)
        await register_search_attributes(client)
        yield client
        return
    server = await DevServer.start(
        tmp_path_factory.mktemp("temporal"),
        in_memory=True,
        ui=False,
        # Look for what may be deleted every second, not every 30.
        dynamic_config={
            f"history.{queue}ProcessorUpdateAckInterval": '"1s"'
            for queue in ("transfer", "visibility", "timer")
        },
    )
    client = await connect(server.address)
    await register_search_attributes(client)
    with not_left_behind(server.pid):
        yield client
        await server.stop()


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three further destinations, known to everything in this process."""
    for one in TINY:
        monkeypatch.setitem(BY_TYPE, one.type, one)


@pytest_asyncio.fixture
async def stack(temporal: Client, database: str) -> AsyncIterator[Stack]:
    """Everything of the test's own but the servers: catalog, simulator, worker, emitter."""
    async with open_stack(temporal, database) as stack:
        yield stack


@pytest_asyncio.fixture(scope="module")
async def shared_stack(temporal: Client, shared_database: str) -> AsyncIterator[Stack]:
    """A stack on the module's database."""
    async with open_stack(temporal, shared_database) as stack:
        yield stack


@asynccontextmanager
async def new_database(postgres_dsn: str, template: str) -> AsyncIterator[str]:
    """Create a database from the template and yield its URL; drop it afterwards.

    The next one is created meanwhile.
    """
    ahead = _made_ahead.pop(template, None)
    name = await (ahead or _make_database(postgres_dsn, template))
    _made_ahead[template] = asyncio.create_task(_make_database(postgres_dsn, template))
    yield database_url(postgres_dsn, name)
    await on_server(postgres_dsn, f"DROP DATABASE {name} WITH (FORCE)")


# By template.
_made_ahead: dict[str, asyncio.Task[str]] = {}


async def _make_database(postgres_dsn: str, template: str) -> str:
    name = f"emitonce_test_{secrets.token_hex(4)}"
    await on_server(postgres_dsn, f"CREATE DATABASE {name} TEMPLATE {template}")
    return name


@asynccontextmanager
async def psql(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that knows nothing of the catalog's code."""
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def on_server(dsn: str, statement: str, *values: Any) -> None:
    async with psql(dsn) as connection:
        await connection.execute(statement, *values)


def database_url(dsn: str, name: str) -> str:
    """The same server's URL for another database."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))
