"""Register the search attributes that a namespace lacks.

A server registers those named at its start only when it creates the namespace, and refuses a start
with an unknown attribute, so every worker registers them.
"""

from __future__ import annotations

from typing import Any

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

from delivery.search_attributes import ALL, REDELIVERY


async def register_search_attributes(client: Client) -> list[str]:
    """Add what is missing; return the names added. Several processes may do so at once."""
    service = client.operator_service
    present = await service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    missing = {
        key.name: IndexedValueType.ValueType(key.indexed_value_type)
        for key in ALL
        if key.name not in present.custom_attributes
    }
    if not missing:
        return []
    try:
        await service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
        )
    except RPCError as err:
        if err.status is not RPCStatusCode.ALREADY_EXISTS:
            raise
    return sorted(missing)


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
