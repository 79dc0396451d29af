"""Open what a process needs: catalog, clients, Temporal connection, telemetry, alert target."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

import structlog
from pydantic import SecretStr
from temporalio.client import Client

from catalog import Catalog
from catalog.database import close_pool, open_pool
from catalog.encryption.cipher import CredentialCipher
from catalog.errors import CatalogUnavailable
from catalog.migrate import migrate
from delivery.alert import AlertTarget, CurrentTarget
from destinations import registry
from destinations.clients import make_clients
from destinations.destination import Client as DestinationClient
from destinations.http.exchange import Http, read_url
from destinations.webhook.signature import read_secret
from emitonce.ids import Hashes
from emitonce.version import __version__
from engine.connect import connect
from engine.namespace import prepare_namespace
from engine.telemetry import Telemetry, open_telemetry
from settings import Secrets, Settings, SettingsError

log = structlog.get_logger()


@asynccontextmanager
async def open_catalog(settings: Settings, secrets: Secrets) -> AsyncIterator[Catalog]:
    """Open the catalog, waiting for its database for at most `connect_timeout_seconds`.

    Raises:
        CatalogError: the database can't be reached, or isn't migrated.
        SettingsError: the settings name no database.
    """
    if settings.database_url is None:
        raise SettingsError("EMITONCE_DATABASE_URL is missing: set it to the catalog's database")
    dsn = settings.database_url.get_secret_value()
    catalog = await _within(
        settings.connect_timeout_seconds,
        lambda: Catalog.open(
            dsn,
            CredentialCipher(secrets.credential_keys),
            Hashes(secrets.instance_secret),
            registry,
            key_grace_seconds=60 * settings.key_grace_minutes,
        ),
    )
    try:
        yield catalog
    finally:
        await catalog.close()


async def _within(seconds: float, opening: Callable[[], Awaitable[Catalog]]) -> Catalog:
    deadline = asyncio.get_running_loop().time() + seconds
    pause = 0.1
    while True:
        try:
            return await opening()
        except CatalogUnavailable:
            if asyncio.get_running_loop().time() + pause > deadline:
                raise
        await asyncio.sleep(pause)
        pause = min(pause * 2, 2.0)


async def migrate_database(dsn: str) -> list[str]:
    """Apply the migrations that are missing; return their names."""
    pool = await open_pool(dsn)
    try:
        return await migrate(pool)
    finally:
        await close_pool(pool)


@asynccontextmanager
async def open_clients(settings: Settings) -> AsyncIterator[Mapping[str, DestinationClient]]:
    """Open the clients of all destinations, by type. They share their HTTP connections."""
    async with Http(settings.max_activities, private_hosts=settings.allowed_private_hosts) as http:
        yield make_clients(http, settings.urls_by_type(), agent=f"emitonce/{__version__}")


@asynccontextmanager
async def observed(settings: Settings, *, role: str) -> AsyncIterator[Telemetry]:
    """Serve metrics and send traces, as far as the settings ask for them.

    Raises:
        TelemetryError: the metrics address is taken or isn't one.
    """
    telemetry = open_telemetry(
        metrics_address=settings.metrics_address, role=role, release=settings.release
    )
    try:
        yield telemetry
    finally:
        await asyncio.to_thread(telemetry.close)


async def connect_observed(settings: Settings, secrets: Secrets, telemetry: Telemetry) -> Client:
    """Connect to Temporal with this process's keys and telemetry, and prepare the namespace.

    Raises:
        TemporalUnreachable: no server answered in time.
        NamespaceUnfit: the namespace is missing or can't be used.
    """
    client = await connect(
        timeout_seconds=settings.connect_timeout_seconds,
        keys=secrets.payload_ring(),
        runtime=telemetry.runtime,
        interceptors=telemetry.client_interceptors,
    )
    await prepare_namespace(client)
    return client


def alert_target(catalog: Catalog, settings: Settings) -> CurrentTarget:
    """Return a function that reads the alert target from the catalog, or else from the settings.

    Raises:
        SettingsError: as `configured_target`.
    """
    fallback = configured_target(settings)

    async def current() -> AlertTarget | None:
        return await catalog.alert_targets.get() or fallback

    return current


def configured_target(settings: Settings) -> AlertTarget | None:
    """Read the settings' alert target. Raises `SettingsError` if it is incomplete or wrong."""
    url, secret, heartbeat = (
        settings.alert_url,
        settings.alert_secret,
        settings.alert_heartbeat_url,
    )
    if url is None:
        if heartbeat is not None:
            raise SettingsError("EMITONCE_ALERT_HEARTBEAT_URL needs EMITONCE_ALERT_URL")
        return None
    if secret is None and settings.alert_format == "slack":
        secret = SecretStr("")
    elif secret is None:
        raise SettingsError("EMITONCE_ALERT_URL needs EMITONCE_ALERT_SECRET: whsec_ and base64")
    for name, read, value in (
        ("URL", read_url, url),
        ("SECRET", read_secret, secret),
        ("HEARTBEAT_URL", read_url, heartbeat),
    ):
        try:
            if value is not None and value.get_secret_value():
                read(value.get_secret_value())
        except ValueError as err:
            raise SettingsError(f"EMITONCE_ALERT_{name} {err}") from None
    return AlertTarget(url, secret, heartbeat, settings.alert_format)


def keep_what_is_loaded() -> None:
    """Exclude everything loaded so far from garbage collection, whose pauses hold up requests.

    Objects made later are freed by reference counts, except for a few cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)


@contextmanager
def on_signals(stop: asyncio.Event) -> Iterator[None]:
    """Set `stop` on SIGINT or SIGTERM. A second signal ends the process at once."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)

    def on_signal() -> None:
        stop.set()
        for number in signals:
            loop.remove_signal_handler(number)

    for number in signals:
        loop.add_signal_handler(number, on_signal)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
