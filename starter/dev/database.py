"""Open the catalog's database: the one that the settings name, or an embedded PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import SecretStr

from process import migrate_database
from settings import Settings
from starter.dev.postgres import EmbeddedPostgres


@asynccontextmanager
async def database_url(settings: Settings) -> AsyncIterator[str]:
    """Return the URL of the database. If the settings name none, run an embedded one.

    Raises:
        SettingsError: in production, which has no embedded database.
        EmbeddedPostgresError: it can't be started.
    """
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    settings.forbid_in_production("an embedded database", "set EMITONCE_DATABASE_URL")
    postgres = await EmbeddedPostgres.start(settings.data_dir / "postgres")
    try:
        yield postgres.dsn
    finally:
        await postgres.stop()


@asynccontextmanager
async def with_database(settings: Settings) -> AsyncIterator[Settings]:
    """Return the settings; if they name no database, with an embedded one, which is migrated.

    Any other is migrated by `emitonce migrate` only.

    Raises:
        SettingsError, EmbeddedPostgresError: as `database_url`.
    """
    if settings.database_url is not None:
        yield settings
        return
    async with database_url(settings) as dsn:
        await migrate_database(dsn)
        yield settings.model_copy(update={"database_url": SecretStr(dsn)})
