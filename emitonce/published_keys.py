"""Publish on the namespace which payload keys are in use, for emitters that have no catalog.

The catalog has the record, and this is a copy. An emitter that was given a new key early goes on
with the former one until all workers have the new one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from emitonce.errors import InvalidSetup
from emitonce.key_ring import KeyRing
from emitonce.rpc import refusal

# Some authorizers let a client start workflows, but not look at or change the namespace.
_REFUSED = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED)


async def published_keys(client: Client, task_queue: str) -> tuple[str, ...]:
    """Ids with their check values, `id:check`, the newest first; empty when none is published."""
    described = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=client.namespace)
    )
    written = described.namespace_info.data.get(_entry(task_queue), "")
    return tuple(written.split(",")) if written else ()


async def publish_keys(
    client: Client, task_queue: str, check_values: Sequence[tuple[str, str]]
) -> bool:
    """Publish ids and check values, newest first; False when Temporal doesn't allow it."""
    wanted = tuple(f"{key_id}:{check}" for key_id, check in check_values)
    try:
        if await published_keys(client, task_queue) != wanted:
            request = UpdateNamespaceRequest(namespace=client.namespace)
            request.update_info.data[_entry(task_queue)] = ",".join(wanted)
            await client.workflow_service.update_namespace(request)
    except RPCError as err:
        if err.status in _REFUSED:
            return False
        raise
    return True


async def use_published_key(client: Client, ring: KeyRing, task_queue: str) -> None:
    """Let `ring` encrypt with the newest of its keys that is published.

    Where none is published, or the namespace can't be read, the ring's own order stands.

    Raises:
        InvalidSetup: none of its keys is in use, or one differs from that of the same id.
        NotAccepted: Temporal gave no answer.
    """
    if ring.current is None:
        return
    try:
        known = await published_keys(client, task_queue)
    except RPCError as err:
        if err.status in _REFUSED:
            return
        raise refusal(err) from err
    if known:
        ring.use(_newest(ring.check_values, known))


def _newest(held: Mapping[str, str], known: Sequence[str]) -> str:
    for entry in known:
        key_id, _, check = entry.partition(":")
        if key_id not in held:
            continue
        if held[key_id] != check:
            raise InvalidSetup(
                f"the payload key {key_id!r} is not the one in use by that id: set "
                "EMITONCE_PAYLOAD_KEYS to the server's own"
            )
        return key_id
    raise InvalidSetup(
        f"none of the payload keys given ({', '.join(held)}) is in use yet: run "
        "`emitonce keys rotate` first, or keep the present key beside the new one"
    )


def _entry(task_queue: str) -> str:
    return f"emitonce-payload-keys/{task_queue}"
