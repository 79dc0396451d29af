"""Stored field mappings: one per connection, versioned so that two writers notice each other."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from catalog import values
from catalog.changes import Changes
from catalog.database import Pool, Record, fetchrow, transaction
from catalog.errors import Conflict, VersionConflict
from catalog.ownership import found, own_connection, owned_ids
from delivery.mapping_schema import MappingSchema

DEFAULT_NAME = "Default mapping"
NAME_CHARACTERS = 64
CATALOG_VERSION_CHARACTERS = 128
GENERATED_VERSION = (
    1  # of the mapping that applies when none is stored; Meshes' clients can't send 0
)
SCHEMA_BYTES = 262_144  # so that four of the largest fit into one event's history


@dataclass(frozen=True)
class Mapping:
    """One version of a mapping: `id` is this version's, `mapping_id` is the same in all."""

    id: str
    mapping_id: str
    version: int
    workspace: str
    connection: str
    type: str
    name: str
    schema: MappingSchema
    catalog_version: str | None
    created_by: str | None
    created_at: datetime
    updated_at: datetime


class Mappings:
    """Methods find only what belongs to the organization; for all else they raise `NotFound`."""

    def __init__(self, pool: Pool, changes: Changes) -> None:
        self._pool = pool
        self._changes = changes

    async def default(self, organization: str, connection_id: str) -> Mapping | None:
        """Return the stored mapping; None if there is none, so that the generated one applies."""
        stored = await fetchrow(
            self._pool,
            """
            SELECT m.*, c.type FROM connections c
            JOIN workspaces w ON w.id = c.workspace_id
            LEFT JOIN mappings m ON m.connection_id = c.id
            WHERE c.id = $1 AND w.organisation_id = $2
            """,
            *owned_ids("connection", connection_id, organization),
        )
        row = found(stored, "connection", connection_id)
        return None if row["id"] is None else _mapping(row)

    async def put_default(
        self,
        organization: str,
        connection_id: str,
        *,
        schema: MappingSchema,
        name: str | None = None,
        mapping_id: str | None = None,
        expected_version: int | None = None,
        catalog_version: str | None = None,
        created_by: str | None = None,
    ) -> Mapping:
        """Store the connection's mapping as its next version.

        `expected_version` is the one that was read: `GENERATED_VERSION`, or 0, if none was stored.
        The first stored one has the version after that.

        Raises:
            VersionConflict: `expected_version` isn't the stored version.
            Conflict: `mapping_id` is given and isn't the stored one.
        """
        lineage = None if mapping_id is None else values.known_id("mapping", mapping_id)
        document = values.json_object("schema", schema.document(), largest=SCHEMA_BYTES)
        if name is not None:
            values.free_text("name", name, shortest=1, longest=NAME_CHARACTERS)
        if catalog_version is not None:
            values.free_text("catalog_version", catalog_version, longest=CATALOG_VERSION_CHARACTERS)
        if created_by is not None:
            values.created_by(created_by)
        async with transaction(self._pool) as conn:
            # The connection's row is the lock: of two first writers, the second finds the mapping
            # of the first.
            owned = await own_connection(conn, organization, connection_id)
            stored = await conn.fetchrow(
                "SELECT * FROM mappings WHERE connection_id = $1", owned["id"]
            )
            _check_expectations(connection_id, stored, lineage, expected_version)
            row = await conn.fetchrow(
                """
                INSERT INTO mappings (mapping_id, workspace_id, connection_id, name, schema,
                                      catalog_version, created_by, version)
                VALUES (coalesce($1, gen_random_uuid()), $2, $3, coalesce($4, $5), $6, $7, $8, $10)
                ON CONFLICT (connection_id) DO UPDATE SET
                    id = gen_random_uuid(),
                    version = mappings.version + 1,
                    name = coalesce($4, mappings.name),
                    schema = excluded.schema,
                    catalog_version = excluded.catalog_version,
                    created_by = excluded.created_by,
                    updated_at = clock_timestamp()
                RETURNING *, $9::text AS type
                """,
                lineage,
                owned["workspace_id"],
                owned["id"],
                name,
                DEFAULT_NAME,
                document,
                catalog_version,
                created_by,
                owned["type"],
                GENERATED_VERSION + 1,
            )
        self._changes.announce(str(row["workspace_id"]))
        return _mapping(row)


def _check_expectations(
    connection_id: str,
    stored: Record | None,
    lineage: uuid.UUID | None,
    expected_version: int | None,
) -> None:
    current = None if stored is None else stored["version"]
    expected = (0, GENERATED_VERSION) if current is None else (current,)
    if expected_version is not None and expected_version not in expected:
        raise VersionConflict(
            f"mapping of connection {connection_id!r}", expected=expected_version, current=current
        )
    if lineage is not None and stored is not None and stored["mapping_id"] != lineage:
        raise Conflict(
            f"connection {connection_id!r} has another default mapping, {stored['mapping_id']}: "
            "leave mapping_id out, or give that one"
        )


def _mapping(row: Record) -> Mapping:
    return Mapping(
        id=str(row["id"]),
        mapping_id=str(row["mapping_id"]),
        version=row["version"],
        workspace=str(row["workspace_id"]),
        connection=str(row["connection_id"]),
        type=row["type"],
        name=row["name"],
        schema=MappingSchema.model_validate(row["schema"]),
        catalog_version=row["catalog_version"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
