"""Compose the worker: hand what the process has opened to its workflows and activities."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import datetime, timedelta
from typing import Any

import structlog
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, VersioningBehavior, WorkerDeploymentVersion
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
from activities.find_alerts import FindAlerts
from activities.heartbeats import unknown_activity
from activities.identify import Identify
from activities.match_rules import MatchRules
from activities.rate_limit import RateLimit
from activities.redeliver_page import RedeliverPage
from activities.send import Send
from activities.send_alert import SendAlert as SendAlertActivity
from activities.sender import Sender
from activities.tell_held import TellHeld
from activities.track import Track
from catalog import Catalog
from catalog.worker_share import WorkerShare, since_ever, whole_share
from delivery import search_attributes
from delivery.capabilities import Capabilities
from delivery.people import PEOPLE
from delivery.reason import REASON
from delivery.traffic import Tallies
from destinations import registry
from destinations.destination import Client as DestinationClient
from destinations.webhook.alerts import AlertClient
from engine.argument_check import ArgumentCheck
from engine.observed_worker import ObservedWorker
from engine.search_attributes import registered_attributes
from engine.telemetry import Telemetry
from key_provider import load_secrets
from operations.alert_search import AlertCriteria, AlertSearch
from operations.alert_watch import kept_watch
from operations.backlog import measured_backlog
from operations.held_runs import HeldRuns
from operations.key_watch import watched_keys
from operations.next_attempt import NextAttempts
from operations.redelivery_pages import RedeliveryPages
from operations.traffic import kept_traffic
from operations.waiting_tries import WaitingTries
from process import (
    alert_target,
    connect_observed,
    keep_what_is_loaded,
    observed,
    on_signals,
    open_catalog,
    open_clients,
)
from settings import Settings, SettingsError
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
    """Run a worker. It shares the connections' rates with all other live workers.

    If `telemetry` serves metrics, the backlog of its task queue is measured too.

    Raises:
        WrongKeys: this process lacks a key that is in use.
        ReleaseTooOld: events were recorded with features that this release doesn't know.
    """
    tallies = Tallies()
    async with (
        watched_keys(client, catalog, settings.task_queue, role="worker"),
        WorkerShare(
            catalog.workers, release=settings.release, unused=await unused_features(client)
        ).kept() as share,
        kept_traffic(client, catalog.traffic, tallies, settings.task_queue),
        make_worker(
            client,
            catalog,
            clients,
            settings,
            share=share,
            fleet=share.fleet,
            limited_since=share.limited_since,
            in_use=share.in_use,
            tallies=tallies,
        ) as worker,
        kept_watch(client, settings.task_queue, alert_target(catalog, settings)),
        _measured(client, settings, telemetry),
    ):
        yield worker


async def unused_features(client: Client) -> tuple[str, ...]:
    """Return the features that workers can't use in this namespace."""
    needed: tuple[tuple[str, SearchAttributeKey[Any]], ...] = (
        (PEOPLE, search_attributes.PEOPLE),
        (REASON, search_attributes.REASON),
    )
    registered = await registered_attributes(client)
    return tuple(name for name, key in needed if key.name not in registered)


def _measured(
    client: Client, settings: Settings, telemetry: Telemetry | None
) -> AbstractAsyncContextManager[None]:
    if telemetry is None or telemetry.runtime is None:
        return nullcontext()
    return measured_backlog(client, settings.task_queue, telemetry.meter)


def make_worker(
    client: Client,
    catalog: Catalog,
    clients: Mapping[str, DestinationClient],
    settings: Settings,
    *,
    share: Callable[[], float] = whole_share,
    fleet: Callable[[], Capabilities] = registry.this_release,
    limited_since: Callable[[], datetime | None] = since_ever,
    in_use: Callable[[], Collection[str]] = tuple,
    tallies: Tallies | None = None,
) -> Worker:
    """Make a worker with all workflows and activities, ready to run.

    `share` returns its part of every connection's rate, `fleet` what all live workers know, and
    `limited_since` when the limits of size came into force, and `in_use` the features that no
    worker can lack anymore. The defaults suit a single worker. How attempts end is noted in
    `tallies`.

    Raises:
        SettingsError: the alert target that the settings name, or a deployment without a build.
    """
    criteria = AlertCriteria(
        settings.task_queue,
        settings.alert_every_seconds,
        settings.alert_backlog_minutes,
        settings.ui_url,
    )
    search = AlertSearch(client, catalog.credentials, catalog.traffic, criteria, in_use)
    target, alert_client = alert_target(catalog, settings), AlertClient()
    rate_limit = RateLimit(
        slots=settings.max_activities,
        share=share,
        bring_forward=WaitingTries(client).bring_forward,
    )
    sender = Sender(clients, catalog.credentials, rate_limit, tallies or Tallies())
    return Worker(
        client,
        task_queue=settings.task_queue,
        workflows=VERSIONED if settings.deployment else WORKFLOWS,
        activities=[
            MatchRules(catalog.rule_lookup, fleet, limited_since, in_use).match_rules,
            Identify(sender).identify,
            Track(sender).track,
            Send(sender).send,
            BringForwardActivity(NextAttempts(client)).bring_forward,
            TellHeld(catalog.credentials, HeldRuns(client)).tell_held,
            RedeliverPage(RedeliveryPages(client)).redeliver_page,
            unknown_activity,
            FindAlerts(search, target, alert_client).find_alerts,
            SendAlertActivity(target, alert_client, settings.runbook_url).send_alert,
        ],
        interceptors=make_interceptors(),
        deployment_config=_deployment(settings),
        workflow_runner=_runner(settings),
        max_concurrent_activities=settings.max_activities,
        # More would not finish sooner, since they compute; an event would wait for all of them, and
        # what a worker has started is held up for ten seconds if it dies.
        max_concurrent_workflow_tasks=20,
        max_cached_workflows=1_000,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        max_heartbeat_throttle_interval=timedelta(seconds=1),  # sent as often as tries send them
        graceful_shutdown_timeout=timedelta(seconds=settings.shutdown_grace_seconds),
    )


def _deployment(settings: Settings) -> WorkerDeploymentConfig | None:
    """Configure Worker Versioning: each event stays on the build that it started on.

    A build gets no work before it is made its deployment's current version (`temporal worker
    deployment set-current-version`), so this is off unless a deployment is named.
    """
    if settings.deployment is None:
        return None
    if settings.build_id is None:
        raise SettingsError(
            "EMITONCE_DEPLOYMENT needs EMITONCE_BUILD_ID: the commit or release that runs"
        )
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(
            deployment_name=settings.deployment, build_id=settings.build_id
        ),
        use_worker_versioning=True,
        # Workflows are pinned, so they need no patches; `WatchDeliveriesOnAnyBuild` names another.
        default_versioning_behavior=VersioningBehavior.PINNED,
    )


def make_interceptors() -> list[Interceptor]:
    """Make the interceptors of workflows and activities, also for replaying recorded runs."""
    return [ArgumentCheck(), ObservedWorker()]


def _runner(settings: Settings) -> WorkflowRunner:
    # The sandbox imports the workflow's modules again for every run, to catch code that isn't
    # deterministic. Tests pay that price, so production doesn't have to.
    return SandboxedWorkflowRunner() if settings.workflow_sandbox else UnsandboxedWorkflowRunner()


async def run(settings: Settings, *, ready: Callable[[], None] = lambda: None) -> None:
    """Work until SIGINT, SIGTERM or a cancellation. Requests in flight finish.

    Raises:
        TemporalUnreachable, CatalogError, SettingsError: the worker could not start.
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


if __name__ == "__main__":
    sys.exit("error: this module is imported; start a worker with: emitonce worker")
