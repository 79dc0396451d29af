"""The JSON objects of mappings, and of the fields that they can fill, as in Meshes' API."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable
from typing import Any

from catalog.connections import Connection
from catalog.mappings import DEFAULT_NAME, GENERATED_VERSION
from catalog.mappings import Mapping as Stored
from destinations.destination import Destination, MappingField
from starter.json_objects import moment, present
from starter.known_destinations import destination_of


def mapping_object(connection: Connection, stored: Stored | None) -> dict[str, Any]:
    """Show the mapping in force: the stored one, or the generated one."""
    return _generated(connection) if stored is None else _stored(stored)


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
            "schema": destination_of(connection.type).default_mapping.document(),
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
        "schema": mapping.schema.document(),
        "catalog_version": mapping.catalog_version or catalog_version(destination_of(mapping.type)),
        "created_at": moment(mapping.created_at),
        "updated_at": moment(mapping.updated_at),
        **present(created_by=mapping.created_by),
    }
    return {"status": "stored", "mapping": shown}
