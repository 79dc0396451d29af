"""The composition root: settings → Temporal client, catalog, Customer.io client → worker."""

from __future__ import annotations

from datetime import timedelta

import structlog
from temporalio.client import Client
from temporalio.worker import (
    PollerBehaviorAutoscaling,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkflowRunner,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from activities.identify import Identify
from activities.match_rules import MatchRules
from activities.send import Sender
from activities.track import Track
from catalog import Catalog
from destinations.customerio.client import CustomerIOClient
from engine.argument_check import ArgumentCheck
from settings import Settings
from workflows.deliver_event import DeliverEvent

log = structlog.get_logger()


def make_worker(
    client: Client, catalog: Catalog, customerio: CustomerIOClient, settings: Settings
) -> Worker:
    """A worker for `DeliverEvent` and its activities, ready to run."""
    sender = Sender(customerio, catalog.credentials)
    return Worker(
        client,
        task_queue=settings.task_queue,
        workflows=[DeliverEvent],
        activities=[
            MatchRules(catalog.rule_lookup).match_rules,
            Identify(sender).identify,
            Track(sender).track,
        ],
        interceptors=[ArgumentCheck()],
        workflow_runner=_runner(settings),
        max_concurrent_activities=settings.max_activities,
        max_concurrent_workflow_tasks=100,
        max_cached_workflows=1_000,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        graceful_shutdown_timeout=timedelta(seconds=settings.shutdown_grace_seconds),
    )


def _runner(settings: Settings) -> WorkflowRunner:
    # The sandbox re-imports the workflow's modules for every run to catch non-deterministic code.
    # Tests pay that price; a production worker runs the code that they have passed.
    return SandboxedWorkflowRunner() if settings.workflow_sandbox else UnsandboxedWorkflowRunner()
