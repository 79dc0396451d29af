"""The fields of a connection's destination and the default mapping onto them."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from fastapi import Query, Request

from catalog.connections import Connection
from catalog.embed_sessions import WORKSPACE
from catalog.mappings import DEFAULT_NAME, GENERATED_VERSION
from catalog.mappings import Mapping as Stored
from delivery.mapping_schema import MappingSchema
from destinations.destination import Destination, MappingField
from starter.api.bodies import as_model, parse_body, read_bytes
from starter.api.describing import body_of, errors
from starter.api.errors import ApiError, not_found
from starter.api.queries import PathId
from starter.api.routing import (
    ApiDependencies,
    Organisation,
    caller_of,
    embeddable,
    management_router,
)
from starter.api.schemas.management import FieldCatalog, MappingInput, MappingResult
from starter.json_objects import moment, present
from starter.known_destination import destination_of
from starter.live_options import mapping_fields

router = management_router("Mappings")

Refresh = Annotated[
    Literal["true", "false"],
    Query(description="They are read each time, so there is nothing to refresh."),
]


@router.get(
    "/connections/{connection_id}/fields",
    response_model=FieldCatalog,
    response_model_exclude_unset=True,
    summary="The fields that a mapping can fill",
    responses=errors(400, 404, 409),
)
@embeddable(WORKSPACE)
async def get_connection_fields(
    parts: ApiDependencies,
    organisation: Organisation,
    connection_id: PathId,
    refresh: Refresh = "false",
) -> Any:
    """The destination's, then those that the account has itself, if the vendor lists them now."""
    connection = await parts.catalog.connections.get(organisation, connection_id)
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


def field_objects(fields: Iterable[MappingField]) -> list[dict[str, Any]]:
    return [
        {
            "key": one.key,
            "label": one.label,
            "type": "string",
            "description": one.description,
            "constraints": {
                **present(format=one.format or None),
                "required": False,
                **present(max_length=one.largest or None),
            },
        }
        for one in fields
    ]


def catalog_version(destination: Destination) -> str:
    fields = json.dumps(field_objects(destination.mapping_fields), sort_keys=True)
    return hashlib.sha256(fields.encode()).hexdigest()[:16]


@router.get(
    "/connections/{connection_id}/mappings/default",
    response_model=MappingResult,
    response_model_exclude_unset=True,
    summary="The mapping in force",
    responses=errors(404, 409),
)
@embeddable(WORKSPACE)
async def get_default_mapping(
    parts: ApiDependencies, organisation: Organisation, connection_id: PathId
) -> Any:
    """`generated`, at version 1, when none is stored."""
    connection = await parts.catalog.connections.get(organisation, connection_id)
    stored = await parts.catalog.mappings.default(organisation, connection_id)
    return _generated(connection) if stored is None else _stored(stored)


@router.put(
    "/connections/{connection_id}/mappings/default",
    response_model=MappingResult,
    response_model_exclude_unset=True,
    summary="Store a mapping",
    responses=errors(400, 404, 409, 413, 422),
    openapi_extra=body_of(MappingInput),
)
@embeddable(WORKSPACE)
async def put_default_mapping(
    request: Request, parts: ApiDependencies, organisation: Organisation, connection_id: PathId
) -> Any:
    """Used by events accepted from now on, and by redeliveries.

    409: `expected_version` or `mapping_id` is not the stored one's. 422: the schema is not valid.
    """
    connection = await parts.catalog.connections.get(organisation, connection_id)
    given = _read(await parse_body(await read_bytes(request)))
    if given.workspace_id is not None and given.workspace_id.lower() != connection.workspace:
        raise not_found("workspace_id", "connection in that workspace")
    stored = await parts.catalog.mappings.put_default(
        organisation,
        connection.id,
        schema=given.mapping,
        name=given.name,
        mapping_id=given.mapping_id,
        expected_version=given.expected_version,
        catalog_version=catalog_version(destination_of(connection.type)),
        created_by=caller_of(request).key,
    )
    return _stored(stored)


def _read(value: Any) -> MappingInput:
    """A fault within `schema` is 422, all others are 400."""
    try:
        return as_model(value, MappingInput)
    except ApiError as err:
        if err.faults and all(fault.param.startswith("schema") for fault in err.faults):
            err.status = 422
        raise


def _generated(connection: Connection) -> dict[str, Any]:
    return {
        "status": "generated",
        "mapping": {
            "id": str(uuid.uuid5(uuid.UUID(connection.id), "mapping")),
            "mapping_id": str(uuid.uuid5(uuid.UUID(connection.id), "mappings")),
            "version": GENERATED_VERSION,
            "workspace_id": connection.workspace,
            "connection_id": connection.id,
            "integration_type": connection.type,
            "name": DEFAULT_NAME,
            "schema": _document(destination_of(connection.type).default_mapping),
            "catalog_version": catalog_version(destination_of(connection.type)),
            "created_at": moment(connection.created_at),
            "updated_at": moment(connection.created_at),
        },
    }


def _stored(mapping: Stored) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": mapping.id,
        "mapping_id": mapping.mapping_id,
        "version": mapping.version,
        "workspace_id": mapping.workspace,
        "connection_id": mapping.connection,
        "integration_type": mapping.type,
        "name": mapping.name,
        "schema": _document(mapping.schema),
        "catalog_version": mapping.catalog_version or catalog_version(destination_of(mapping.type)),
        "created_at": moment(mapping.created_at),
        "updated_at": moment(mapping.updated_at),
        **present(created_by=mapping.created_by),
    }
    return {"status": "stored", "mapping": shown}


def _document(schema: MappingSchema) -> dict[str, Any]:
    """What was left out when it was stored stays out."""
    return {
        "schema_version": schema.schema_version,
        **schema.model_dump(mode="json", exclude_unset=True),
    }
