"""Check that a namespace has what deliveries need; say what is wrong and how to fix it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client

from delivery.search_attributes import ALL, PEOPLE, REASON, REQUIRED
from engine.connect import OLDEST_SERVER
from engine.missing import ignore_missing
from engine.namespace import RETENTION, namespace_retention
from engine.search_attributes import registered_attributes
from operations.backlog import queue_stats
from operations.build_changes import find_build_changes
from operations.finding import Finding, bad, fine, warn

# Live workers start a task at once, or within seconds if they are busy.
LONGEST_BACKLOG = timedelta(minutes=1)


async def check_namespace(client: Client, task_queue: str) -> AsyncIterator[Finding]:
    yield await _server(client)
    retention = None
    with ignore_missing():
        retention = await namespace_retention(client)
    if retention is None:
        yield bad(
            "namespace",
            f"{client.namespace} does not exist",
            f"temporal operator namespace create --namespace {client.namespace} --retention 720h",
        )
        return
    yield _retention(client.namespace, retention)
    yield await _search_attributes(client)
    yield await _backlog(client, task_queue)
    async for finding in find_build_changes(client, task_queue):
        yield finding


async def _server(client: Client) -> Finding:
    info = await client.workflow_service.get_system_info(GetSystemInfoRequest())
    version = re.match(r"(\d+)\.(\d+)", info.server_version)
    oldest = ".".join(map(str, OLDEST_SERVER))
    if version and (int(version[1]), int(version[2])) < OLDEST_SERVER:
        return warn(
            "temporal",
            f"server {info.server_version} is older than {oldest}, the oldest that is tested",
            f"upgrade the cluster to {oldest} or newer",
        )
    return fine("temporal", f"server {info.server_version or 'of Temporal Cloud'} answers")


def _retention(namespace: str, retention: timedelta) -> Finding:
    if retention < RETENTION:
        return warn(
            "retention",
            f"{namespace} keeps closed events {_days(retention)}: the delivery log, redelivery and "
            "de-duplication last no longer",
            f"temporal operator namespace update --namespace {namespace} --retention 720h",
        )
    return fine("retention", f"{namespace} keeps closed events {_days(retention)}")


def _days(time: timedelta) -> str:
    days = time / timedelta(days=1)
    return f"{days:g} {'day' if days == 1 else 'days'}"


async def _search_attributes(client: Client) -> Finding:
    custom = await registered_attributes(client)
    missing = sorted(key.name for key in REQUIRED if key.name not in custom)
    if missing:
        return bad(
            "search attributes",
            f"{', '.join(missing)} are not registered: events can't be listed",
            "start a worker, which registers them, or: temporal operator search-attribute create",
        )
    if PEOPLE.name not in custom:
        return warn(
            "search attributes",
            f"{PEOPLE.name} is not registered, so events can't be searched by person: a namespace "
            "on SQL has room for three attributes of type KeywordList",
            "use a namespace of emitonce's own, then restart the workers",
        )
    if REASON.name not in custom:
        return warn(
            "search attributes",
            f"{REASON.name} is not registered, so lists don't say why events failed: a namespace "
            "on SQL has room for ten attributes of type Keyword",
            "use a namespace of emitonce's own, then restart the workers",
        )
    other = sorted(key.name for key in ALL if custom[key.name] != int(key.indexed_value_type))
    if other:
        return bad(
            "search attributes",
            f"{', '.join(other)} are registered with another type",
            "use a namespace of emitonce's own",
        )
    return fine("search attributes", f"all {len(list(ALL))} are registered")


async def _backlog(client: Client, task_queue: str) -> Finding:
    stats = await queue_stats(client, task_queue, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW)
    waiting, age = stats.approximate_backlog_count, stats.approximate_backlog_age.ToTimedelta()
    if age > LONGEST_BACKLOG:
        return warn(
            "task queue",
            f"{waiting} tasks of {task_queue} wait, the oldest for {age.total_seconds():.0f} s",
            "add workers, or check their logs for what slows them down",
        )
    return fine("task queue", f"{task_queue}: {waiting} tasks wait")
