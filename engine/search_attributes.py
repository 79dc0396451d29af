"""Register the search attributes that a namespace lacks.

Every worker does so. A server registers the attributes that it is started with only if it also
creates the namespace, and it refuses to start a workflow that has an attribute it doesn't know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

from delivery.search_attributes import OPTIONAL, REDELIVERY, REQUIRED

log = structlog.get_logger("emitonce.namespace")


async def register_search_attributes(client: Client) -> list[str]:
    """Add what is missing; return the names added. Several processes may do so at once.

    The optional ones come last and may be left out: the namespace has no room for them.
    """
    present = await registered_attributes(client)
    missing = [key for key in REQUIRED if key.name not in present]
    if missing:
        await _add(client, missing)
    for key in OPTIONAL:
        if key.name in present:
            continue
        try:
            await _add(client, [key])
        except RPCError as err:
            if err.status is not RPCStatusCode.INVALID_ARGUMENT:
                raise
            log.warning("no room for a search attribute", name=key.name, reason=err.message)
        else:
            missing.append(key)
    return sorted(key.name for key in missing)


async def registered_attributes(client: Client) -> Mapping[str, int]:
    """Return the types of the namespace's search attributes by name, without the server's own."""
    present = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    return present.custom_attributes


async def _add(client: Client, keys: list[SearchAttributeKey[Any]]) -> None:
    added = {key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in keys}
    try:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=added)
        )
    except RPCError as err:
        if err.status is not RPCStatusCode.ALREADY_EXISTS:
            raise


def is_unregistered(err: RPCError, key: SearchAttributeKey[Any]) -> bool:
    """Say whether a start or a query was refused because the namespace lacks the attribute.

    It does so until the first worker that knows the attribute has started.
    """
    return err.status is RPCStatusCode.INVALID_ARGUMENT and key.name in err.message


async def count_marked(client: Client, query: str) -> int:
    """Count the runs that meet a query for `REDELIVERY`: zero as long as nobody can set it."""
    try:
        return (await client.count_workflows(query)).count
    except RPCError as err:
        if is_unregistered(err, REDELIVERY):
            return 0
        raise
