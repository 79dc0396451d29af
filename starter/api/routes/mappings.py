"""The fields of a connection's destination and the default mapping onto them."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from fastapi import Query, Request

from catalog.embed_sessions import WORKSPACE
from starter.api.bodies import as_model, parse_body, read_bytes
from starter.api.describing import body_of, errors
from starter.api.errors import ApiError, not_found
from starter.api.queries import PathId
from starter.api.routing import (
    ApiDependencies,
    Organization,
    caller_of,
    embeddable,
    management_router,
)
from starter.api.schemas.mappings import FieldCatalog, MappingInput, MappingResult
from starter.json_objects import moment
from starter.known_destinations import destination_of
from starter.live_options import mapping_fields
from starter.mapping_objects import catalog_version, field_objects, mapping_object

router = management_router("Mappings")

Refresh = Annotated[
    Literal["true", "false"],
    Query(description="They are read each time, so there is nothing to refresh."),
]


@router.get(
    "/connections/{connection_id}/fields",
    response_model=FieldCatalog,
    summary="The fields that a mapping can fill",
    responses=errors(400, 404, 409),
)
@embeddable(WORKSPACE)
async def get_connection_fields(
    parts: ApiDependencies,
    organization: Organization,
    connection_id: PathId,
    refresh: Refresh = "false",
) -> Any:
    """The destination's, then those that the account has itself, if the vendor lists them now."""
    connection = await parts.catalog.connections.get(organization, connection_id)
    fields = await mapping_fields(parts.clients, parts.catalog, connection)
    return {
        "id": str(uuid.uuid5(uuid.UUID(connection.id), "fields")),
        "workspace_id": connection.workspace,
        "connection_id": connection.id,
        "integration_type": connection.type,
        "catalog_version": catalog_version(destination_of(connection.type)),
        "refreshed_at": moment(connection.created_at),
        "created_by": connection.created_by,
        "created_at": moment(connection.created_at),
        "updated_at": moment(connection.created_at),
        "fields": field_objects(fields),
    }


@router.get(
    "/connections/{connection_id}/mappings/default",
    response_model=MappingResult,
    summary="The mapping in force",
    responses=errors(404, 409),
)
@embeddable(WORKSPACE)
async def get_default_mapping(
    parts: ApiDependencies, organization: Organization, connection_id: PathId
) -> Any:
    """`generated`, at version 1, when none is stored."""
    connection = await parts.catalog.connections.get(organization, connection_id)
    stored = await parts.catalog.mappings.default(organization, connection_id)
    return mapping_object(connection, stored)


@router.put(
    "/connections/{connection_id}/mappings/default",
    response_model=MappingResult,
    summary="Store a mapping",
    responses=errors(400, 404, 409, 413, 422),
    openapi_extra=body_of(MappingInput),
)
@embeddable(WORKSPACE)
async def put_default_mapping(
    request: Request, parts: ApiDependencies, organization: Organization, connection_id: PathId
) -> Any:
    """Used by events accepted from now on, and by redeliveries.

    409: `expected_version` or `mapping_id` is not the stored one's. 422: the schema is not valid.
    """
    connection = await parts.catalog.connections.get(organization, connection_id)
    given = _read(await parse_body(await read_bytes(request)))
    if given.workspace_id is not None and given.workspace_id.lower() != connection.workspace:
        raise not_found("workspace_id", "connection in that workspace")
    stored = await parts.catalog.mappings.put_default(
        organization,
        connection.id,
        schema=given.mapping,
        name=given.name,
        mapping_id=given.mapping_id,
        expected_version=given.expected_version,
        catalog_version=catalog_version(destination_of(connection.type)),
        created_by=caller_of(request).key,
    )
    return mapping_object(connection, stored)


def _read(value: Any) -> MappingInput:
    """A fault within `schema` is 422, all others are 400."""
    try:
        return as_model(value, MappingInput)
    except ApiError as err:
        if err.faults and all(fault.param.startswith("schema") for fault in err.faults):
            err.status = 422
        raise
