"""The pool of connections, and the one place that decides when the database is unavailable."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, TypeAlias

import asyncpg  # type: ignore[import-untyped]

from catalog.errors import CatalogUnavailable, InvalidValue

# asyncpg has no types of its own, so to mypy these are Any: rows are typed where they are read.
Pool: TypeAlias = asyncpg.Pool
Connection: TypeAlias = asyncpg.Connection
Record: TypeAlias = asyncpg.Record

UniqueViolation: TypeAlias = asyncpg.UniqueViolationError
ForeignKeyViolation: TypeAlias = asyncpg.ForeignKeyViolationError

# Together under the 10 s of one try of `match_rules`, so that it reports the reason, not a timeout.
CONNECT_SECONDS = 3.0
ACQUIRE_SECONDS = 3.0
STATEMENT_SECONDS = 5.0
COMMAND_SECONDS = 6.0  # the client's own limit, for a server that has gone silent

_SERVER_SETTINGS = {
    "application_name": "emitonce",
    "statement_timeout": f"{STATEMENT_SECONDS:.0f}s",
    "lock_timeout": f"{STATEMENT_SECONDS:.0f}s",
    "idle_in_transaction_session_timeout": "30s",
    "timezone": "UTC",
}

# Each passes by itself or when an operator acts; none is the fault of the query.
_UNAVAILABLE = (
    OSError,  # also TimeoutError
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutting down, starting up, statement timeout
    asyncpg.InsufficientResourcesError,  # too many connections, disk full
    asyncpg.TransactionRollbackError,  # deadlock
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,  # a replica, after a failover
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InternalClientError,  # the server ended a connection of the pool
)


async def open_pool(dsn: str, *, max_size: int = 10) -> Pool:
    """Connect to the catalog's PostgreSQL.

    Raises:
        CatalogUnavailable: it can't be reached or refuses us.
        InvalidValue: the URL can't be read. The message doesn't repeat it: it holds a password.
    """
    with translated():
        try:
            return await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=max_size,
                timeout=CONNECT_SECONDS,
                command_timeout=COMMAND_SECONDS,
                server_settings=_SERVER_SETTINGS,
                init=_register_codecs,
            )
        except ValueError:  # asyncpg's ClientConfigurationError is one
            raise InvalidValue("database URL", "is not a PostgreSQL URL that can be read") from None


async def close_pool(pool: Pool) -> None:
    """Close the pool. Queries in flight may finish within the time limit of a query."""
    try:
        await asyncio.wait_for(pool.close(), COMMAND_SECONDS)
    except TimeoutError:
        pool.terminate()


async def open_connection(dsn: str) -> Connection:
    """Open a connection outside the pool, for listening."""
    with translated():
        return await asyncpg.connect(
            dsn,
            timeout=CONNECT_SECONDS,
            command_timeout=COMMAND_SECONDS,
            server_settings=_SERVER_SETTINGS | {"application_name": "emitonce listener"},
        )


@asynccontextmanager
async def connection(pool: Pool) -> AsyncIterator[Connection]:
    """Take a connection from the pool.

    Raises:
        CatalogUnavailable: no connection was free in time, or it was lost.
    """
    with translated():
        async with pool.acquire(timeout=ACQUIRE_SECONDS) as acquired:
            yield acquired


async def fetch(pool: Pool, query: str, *arguments: Any) -> list[Record]:
    """Return the rows of one statement. Raises as `connection` does."""
    async with connection(pool) as conn:
        rows: list[Record] = await conn.fetch(query, *arguments)
    return rows


async def fetchrow(pool: Pool, query: str, *arguments: Any) -> Record | None:
    """Return the first row of one statement, or None. Raises as `connection` does."""
    async with connection(pool) as conn:
        return await conn.fetchrow(query, *arguments)


async def execute(pool: Pool, query: str, *arguments: Any) -> str:
    """Run one statement; return its tag, such as `DELETE 1`. Raises as `connection` does."""
    async with connection(pool) as conn:
        return str(await conn.execute(query, *arguments))


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """Open a transaction: committed at the end, rolled back on any error."""
    async with connection(pool) as acquired, acquired.transaction():
        yield acquired


@contextmanager
def translated() -> Iterator[None]:
    """Turn every form of "the database is unavailable" into `CatalogUnavailable`."""
    try:
        yield
    except _UNAVAILABLE as err:
        raise CatalogUnavailable(_reason(err)) from err
    except asyncpg.InterfaceError as err:
        # The same class also reports misuse of the client, which must not look like an outage.
        if "closed" in str(err) or "closing" in str(err):
            raise CatalogUnavailable("the connection is closed") from err
        raise


def _reason(err: BaseException) -> str:
    if isinstance(err, TimeoutError):
        return "no answer in time"
    if isinstance(err, OSError):
        return f"no connection ({type(err).__name__})"
    return f"{err} ({type(err).__name__})"


async def _register_codecs(raw: Connection) -> None:
    encoder = partial(json.dumps, allow_nan=False)
    for name in ("json", "jsonb"):
        await raw.set_type_codec(name, schema="pg_catalog", encoder=encoder, decoder=json.loads)
