"""Prepare and check the namespace before a process starts to work."""

from __future__ import annotations

from datetime import timedelta

import structlog
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from engine.search_attributes import register_search_attributes

log = structlog.get_logger("emitonce.namespace")

# How long the delivery log, de-duplication by idempotency key and redelivery last. The server's
# own default for development is one day.
RETENTION = timedelta(days=30)

_NO_SUCH_NAMESPACE = (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT)
_REFUSED = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED)
_UNTOLD = (*_REFUSED, RPCStatusCode.UNIMPLEMENTED)


class NamespaceUnfit(Exception):
    """The namespace is missing, closed to us, or can't list events. The message says what to do."""


async def prepare_namespace(client: Client) -> None:
    """Check that the namespace exists, register search attributes, warn of a short retention.

    Raises:
        NamespaceUnfit: the namespace can't be used.
    """
    try:
        retention = await namespace_retention(client)
    except RPCError as err:
        if err.status in _NO_SUCH_NAMESPACE:
            raise NamespaceUnfit(
                f"TEMPORAL_NAMESPACE: the server has no namespace {client.namespace}; make it with "
                f"`temporal operator namespace create --namespace {client.namespace} "
                "--retention 720h`, or name another"
            ) from err
        if err.status in _REFUSED:
            raise NamespaceUnfit(
                f"the server lets nobody into namespace {client.namespace} with these credentials "
                f"({err.message}): check TEMPORAL_API_KEY or the certificate of TEMPORAL_TLS_…"
            ) from err
        if err.status not in _UNTOLD:
            raise
    else:
        if retention < RETENTION:
            log.warning(
                "the namespace forgets closed events early: the delivery log, redelivery and "
                "de-duplication last no longer",
                namespace=client.namespace,
                retention_hours=round(retention.total_seconds() / 3600),
                wanted_hours=round(RETENTION.total_seconds() / 3600),
            )
    try:
        await register_search_attributes(client)
    except RPCError as err:
        if err.status not in _UNTOLD:
            raise
        raise NamespaceUnfit(
            f"namespace {client.namespace} lacks search attributes, and they can't be registered "
            f"with these credentials ({err.message}): create them by hand, see docs/production.md"
        ) from err


async def namespace_retention(client: Client) -> timedelta:
    """Return how long the namespace keeps closed runs."""
    described = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=client.namespace)
    )
    return described.config.workflow_execution_retention_ttl.ToTimedelta()
