"""The composition root: settings → Temporal client, catalog, clients of destinations → worker."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from datetime import datetime, timedelta

import structlog
from temporalio.client import Client
from temporalio.worker import (
    Interceptor,
    PollerBehaviorAutoscaling,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkerDeploymentConfig,
    WorkflowRunner,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from activities.bring_forward import BringForward as BringForwardActivity
from activities.carried import unknown_activity
from activities.identify import Identify
from activities.look import Look
from activities.match_rules import MatchRules
from activities.rate_limit import RateLimit
from activities.redeliver_page import RedeliverPage
from activities.send import Send
from activities.send_alert import SendAlert as SendAlertActivity
from activities.sender import Sender
from activities.tell_held import TellHeld
from activities.track import Track
from catalog import Catalog
from catalog.alert_targets import AlertTarget, CurrentTarget
from catalog.cipher import CredentialCipher
from catalog.database import close_pool, open_pool
from catalog.embedded import EmbeddedPostgres
from catalog.errors import CatalogUnavailable
from catalog.key_watch import KeyWatch
from catalog.migrate import migrate
from catalog.workers import WorkerShare, since_ever, whole_share
from delivery.capabilities import Capabilities
from destinations import registry
from destinations.clients import make_clients
from destinations.destination import Client as DestinationClient
from destinations.http.exchange import Http
from destinations.webhook.alerts import AlertClient, read_url
from destinations.webhook.signature import read_secret
from emitonce.codec import EncryptionCodec
from emitonce.ids import resource_id_hash
from emitonce.keys_in_use import publish_keys_in_use
from emitonce.version import __version__
from engine.argument_check import ArgumentCheck
from engine.connect import connect
from engine.namespace import prepare_namespace
from engine.observed_worker import ObservedWorker
from engine.telemetry import Telemetry, open_telemetry
from engine.versioning import deployment_config
from operations.alert_search import Attention, Lookout
from operations.alert_watch import kept_watch
from operations.backlog import measured_backlog
from operations.held_runs import HeldRuns
from operations.next_attempt import NextAttempts
from operations.redelivery_pages import RedeliveryPages
from settings import Secrets, Settings, SettingsError, load_secrets
from starter.logs import configure_logs
from workflows.bring_forward import BringForward
from workflows.deliver_event import DeliverEvent
from workflows.redeliver_events import RedeliverEvents
from workflows.resume_connection import ResumeConnection
from workflows.send_alert import SendAlert
from workflows.watch_deliveries import WatchDeliveries, WatchDeliveriesOnAnyBuild

log = structlog.get_logger()

WORKFLOWS = (
    DeliverEvent,
    BringForward,
    ResumeConnection,
    RedeliverEvents,
    WatchDeliveries,
    SendAlert,
)
VERSIONED = (*(one for one in WORKFLOWS if one is not WatchDeliveries), WatchDeliveriesOnAnyBuild)


@asynccontextmanager
async def open_worker(
    client: Client,
    catalog: Catalog,
    clients: Mapping[str, DestinationClient],
    settings: Settings,
    telemetry: Telemetry | None = None,
) -> AsyncIterator[Worker]:
    """A worker that works, and shares the connections' rates with all others there are.

    With `telemetry` that serves metrics it measures its queue's backlog too.

    Raises:
        WrongKeys: it lacks a key that is in use.
        ReleaseTooOld: events were recorded with what it doesn't know.
    """
    async with (
        watched_keys(client, catalog, settings, role="worker"),
        WorkerShare(catalog.workers, release=settings.release).kept() as share,
        make_worker(
            client,
            catalog,
            clients,
            settings,
            share=share,
            fleet=share.fleet,
            limited_since=share.limited_since,
        ) as worker,
        kept_watch(client, settings.task_queue, alert_target(catalog, settings)),
        _measured(client, settings, telemetry),
    ):
        yield worker


def _measured(
    client: Client, settings: Settings, telemetry: Telemetry | None
) -> AbstractAsyncContextManager[None]:
    if telemetry is None or telemetry.runtime is None:
        return nullcontext()
    return measured_backlog(client, settings.task_queue, telemetry.meter)


def alert_target(catalog: Catalog, settings: Settings) -> CurrentTarget:
    """Where alerts are posted: to the catalog's target, else to that of the settings.

    Raises:
        SettingsError: as `configured_target`.
    """
    fallback = configured_target(settings)

    async def current() -> AlertTarget | None:
        return await catalog.alert_targets.get() or fallback

    return current


def configured_target(settings: Settings) -> AlertTarget | None:
    """Raises `SettingsError`: it is incomplete, or can't be one."""
    url, secret, heartbeat = (
        settings.alert_url,
        settings.alert_secret,
        settings.alert_heartbeat_url,
    )
    if url is None:
        if heartbeat is not None:
            raise SettingsError("EMITONCE_ALERT_HEARTBEAT_URL needs EMITONCE_ALERT_URL")
        return None
    if secret is None:
        raise SettingsError("EMITONCE_ALERT_URL needs EMITONCE_ALERT_SECRET: whsec_ and base64")
    for name, read, value in (
        ("URL", read_url, url),
        ("SECRET", read_secret, secret),
        ("HEARTBEAT_URL", read_url, heartbeat),
    ):
        try:
            if value is not None:
                read(value.get_secret_value())
        except ValueError as err:
            raise SettingsError(f"EMITONCE_ALERT_{name} {err}") from None
    return AlertTarget(url, secret, heartbeat)


@asynccontextmanager
async def watched_keys(
    client: Client, catalog: Catalog, settings: Settings, *, role: str
) -> AsyncIterator[None]:
    """Tell the others which keys this process has, and encrypt with those that all have.

    Emitters that have no catalog find on the namespace which payload keys are in use.

    Raises:
        WrongKeys: this process lacks a key that is in use.
    """
    async with key_watch(client, catalog, role=role).kept() as watch:
        used = [(key.key_id, key.check_value) for key in (await watch.settle())["payload"]]
        if not await publish_keys_in_use(client, settings.task_queue, used):
            log.warning("the namespace can't be changed: emitters can't see which keys are in use")
        yield


def key_watch(client: Client, catalog: Catalog, *, role: str) -> KeyWatch:
    codec = client.data_converter.payload_codec
    assert isinstance(codec, EncryptionCodec)  # `connect` has seen to it
    return KeyWatch(
        catalog.key_use,
        catalog.changes,
        {"credential": catalog.cipher, "payload": codec.ring},
        role=role,
    )


def make_worker(
    client: Client,
    catalog: Catalog,
    clients: Mapping[str, DestinationClient],
    settings: Settings,
    *,
    share: Callable[[], float] = whole_share,
    fleet: Callable[[], Capabilities] = registry.this_release,
    limited_since: Callable[[], datetime | None] = since_ever,
) -> Worker:
    """A worker for `DeliverEvent` and its activities, ready to run.

    `share` is its part of every connection's rate, `fleet` what all workers know, and
    `limited_since` since when the limits of size hold; without them it is alone.

    Raises:
        SettingsError: the alert target that the settings name, or a deployment without a build.
    """
    attention = Attention(
        settings.task_queue,
        settings.alert_every_seconds,
        settings.alert_backlog_minutes,
        settings.ui_url,
    )
    lookout = Lookout(client, catalog.credentials, attention)
    target, alert_client = alert_target(catalog, settings), AlertClient()
    rate_limit = RateLimit(slots=settings.max_activities, share=share)
    sender = Sender(clients, catalog.credentials, rate_limit)
    return Worker(
        client,
        task_queue=settings.task_queue,
        workflows=VERSIONED if settings.deployment else WORKFLOWS,
        activities=[
            MatchRules(catalog.rule_lookup, fleet, limited_since).match_rules,
            Identify(sender).identify,
            Track(sender).track,
            Send(sender).send,
            BringForwardActivity(NextAttempts(client)).bring_forward,
            TellHeld(catalog.credentials, HeldRuns(client)).tell_held,
            RedeliverPage(RedeliveryPages(client)).redeliver_page,
            unknown_activity,
            Look(lookout, target, alert_client).look,
            SendAlertActivity(target, alert_client).send_alert,
        ],
        interceptors=make_interceptors(),
        deployment_config=_deployment(settings),
        workflow_runner=_runner(settings),
        max_concurrent_activities=settings.max_activities,
        max_concurrent_workflow_tasks=100,
        max_cached_workflows=1_000,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        graceful_shutdown_timeout=timedelta(seconds=settings.shutdown_grace_seconds),
    )


def _deployment(settings: Settings) -> WorkerDeploymentConfig | None:
    if settings.deployment is None:
        return None
    if settings.build_id is None:
        raise SettingsError(
            "EMITONCE_DEPLOYMENT needs EMITONCE_BUILD_ID: the commit or release that runs"
        )
    return deployment_config(settings.deployment, settings.build_id)


def make_interceptors() -> list[Interceptor]:
    """Around every workflow and activity, also where recorded runs are replayed."""
    return [ArgumentCheck(), ObservedWorker()]


def _runner(settings: Settings) -> WorkflowRunner:
    # The sandbox re-imports the workflow's modules for every run to catch non-deterministic code.
    # Tests pay that price; a production worker runs the code that they have passed.
    return SandboxedWorkflowRunner() if settings.workflow_sandbox else UnsandboxedWorkflowRunner()


@asynccontextmanager
async def open_catalog(settings: Settings, secrets: Secrets) -> AsyncIterator[Catalog]:
    """The catalog of `database_url`; without one, that of an embedded PostgreSQL.

    The embedded one is migrated as it is opened; another by `emitonce migrate` alone. Waits for
    the database as long as `connect_timeout_seconds`.

    Raises:
        CatalogError: the database can't be reached, or isn't migrated.
        SettingsError: in production there is no embedded database.
    """
    async with database_url(settings) as dsn:
        if settings.database_url is None:
            await migrate_database(dsn)
        catalog = await _within(
            settings.connect_timeout_seconds,
            lambda: Catalog.open(
                dsn,
                CredentialCipher(secrets.credential_keys),
                lambda resource_id: resource_id_hash(secrets.instance_secret, resource_id),
                registry,
                key_grace_seconds=60 * settings.key_grace_minutes,
            ),
        )
        try:
            yield catalog
        finally:
            await catalog.close()


@asynccontextmanager
async def database_url(settings: Settings) -> AsyncIterator[str]:
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    settings.forbid_in_production("an embedded database", "set EMITONCE_DATABASE_URL")
    postgres = await EmbeddedPostgres.start(settings.data_dir / "postgres")
    try:
        yield postgres.dsn
    finally:
        await postgres.stop()


async def migrate_database(dsn: str) -> list[str]:
    """Apply what is missing; returns the names of what was applied."""
    pool = await open_pool(dsn)
    try:
        return await migrate(pool)
    finally:
        await close_pool(pool)


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


@asynccontextmanager
async def open_clients(settings: Settings) -> AsyncIterator[Mapping[str, DestinationClient]]:
    """The clients of all destinations, by type, for all requests of this process."""
    allowed = settings.private_hosts()
    async with Http(settings.max_activities, private_hosts=allowed) as http:
        yield make_clients(http, settings.urls_by_type(), agent=f"emitonce/{__version__}")


async def run(settings: Settings, *, ready: Callable[[], None] = lambda: None) -> None:
    """Work until cancelled or told to stop by SIGINT or SIGTERM; requests in flight finish.

    Raises:
        TemporalUnreachable, CatalogError, SettingsError: it could not begin.
    """
    secrets = load_secrets(settings)
    stop = asyncio.Event()
    async with (
        observed(settings, role="worker") as telemetry,
        open_catalog(settings, secrets) as catalog,
        open_clients(settings) as clients,
    ):
        client = await connect_observed(settings, secrets, telemetry)
        async with open_worker(client, catalog, clients, settings, telemetry):
            keep_what_is_loaded()
            with on_signals(stop):
                log.info("worker started", task_queue=settings.task_queue, release=settings.release)
                ready()
                await stop.wait()
            log.info("worker stopping", grace_seconds=settings.shutdown_grace_seconds)


async def connect_observed(settings: Settings, secrets: Secrets, telemetry: Telemetry) -> Client:
    """A client of a namespace that has been made ready, with this process's keys and telemetry.

    Raises:
        TemporalUnreachable, NamespaceUnfit: see there.
    """
    client = await connect(
        timeout_seconds=settings.connect_timeout_seconds,
        keys=secrets.payload_ring(),
        runtime=telemetry.runtime,
        interceptors=telemetry.client_interceptors,
    )
    await prepare_namespace(client)
    return client


@asynccontextmanager
async def observed(settings: Settings, *, role: str) -> AsyncIterator[Telemetry]:
    """Metrics and traces of this process, as far as they are asked for.

    Raises:
        TelemetryError: the metrics' address can't be listened on.
    """
    telemetry = open_telemetry(
        metrics_address=settings.metrics_address, role=role, release=settings.release
    )
    try:
        yield telemetry
    finally:
        await asyncio.to_thread(telemetry.close)


def keep_what_is_loaded() -> None:
    """Spare later garbage collections what is loaded by now; they hold up everything else.

    What comes later is freed by reference counts, but for a few cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)


@contextmanager
def on_signals(stop: asyncio.Event) -> Iterator[None]:
    """Set `stop` at SIGINT and SIGTERM; a second signal ends the process at once."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)

    def told() -> None:
        stop.set()
        for number in signals:
            loop.remove_signal_handler(number)

    for number in signals:
        loop.add_signal_handler(number, told)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


if __name__ == "__main__":
    configure_logs()
    try:
        asyncio.run(run(Settings()))
    except Exception as err:
        sys.exit(f"error: {err}")
