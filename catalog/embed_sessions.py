"""Sessions of pages that are embedded in another product, and what each may do.

They are read from the database with every request, so that a session that ends, ends for every
process, and the database's clock decides what has expired.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from catalog import scopes, values
from catalog.api_key_rights import origin
from catalog.api_keys import hash_of, scopes_of
from catalog.database import Pool, Record, fetch, fetchrow, transaction
from catalog.errors import Conflict, InvalidValue, NotFound
from catalog.ownership import found
from catalog.paging import DEFAULT_LIMIT, Page, Paging
from catalog.scopes import EMIT, MANAGE, PAYLOAD, READ

WORKSPACE, RESOURCE, DASHBOARD = "workspace", "resource", "dashboard"

# The pages that a session of each type can be launched on, the first by default.
PAGES: Mapping[str, tuple[str, ...]] = {
    WORKSPACE: ("dashboard", "connections", "rules", "events"),
    RESOURCE: ("dashboard", "rules", "events"),
    DASHBOARD: ("dashboard",),
}

ROLES: Mapping[str, frozenset[str]] = {
    "member": scopes.ROLES["operator"] | {EMIT},
    "admin": scopes.ROLES["admin"] - {PAYLOAD},
    "owner": scopes.ROLES["admin"] - {PAYLOAD},
}
READS_PAYLOADS = "events.payload:read"  # beside a role that manages

LASTS = timedelta(hours=12)  # however often it is refreshed
KEPT = timedelta(days=30)  # listed, with the id that the other product gave its user

MOST_ORIGINS = 10

_ID = re.compile(r"sess_([0-9a-f-]{36})")


@dataclass(frozen=True)
class EmbedSession:
    """A session. `may` are the scopes that its role gives, of those of the key that made it.

    `generation` is that of its newest access token, which expires at `expires_at`. `origins` are
    those of pages that may embed it; None if none were named.
    """

    id: str
    organization: str
    workspace: str
    type: str
    role: str
    resource: str | None
    resource_id: str | None
    extra_scopes: tuple[str, ...]
    origins: tuple[str, ...] | None
    external_user_id: str | None
    launch_page: str
    launch_expires_at: datetime
    generation: int
    ttl_seconds: int
    expires_at: datetime
    expired: bool
    created_at: datetime
    revoked_at: datetime | None
    may: frozenset[str]

    def covers(self, resource: str | None, resource_id: str | None) -> bool:
        """Whether what names this resource is within the session."""
        return self.type != RESOURCE or (resource, resource_id) == (self.resource, self.resource_id)

    @property
    def only(self) -> dict[str, Any]:
        """The resource that lists are narrowed to; empty if it is any."""
        if self.type != RESOURCE:
            return {}
        return {"resource": self.resource or "", "resource_id": self.resource_id or ""}


@dataclass(frozen=True)
class NewEmbedSession:
    """What someone has chosen for a session. Raises `InvalidValue`."""

    workspace: str
    role: str = "member"
    type: str = WORKSPACE
    resource: str | None = None
    resource_id: str | None = None
    extra_scopes: tuple[str, ...] = ()
    origins: tuple[str, ...] | None = None
    external_user_id: str | None = None
    launch_page: str = "dashboard"
    ttl_seconds: int = 1800
    launch_ttl_seconds: int = 30

    def __post_init__(self) -> None:
        if self.launch_page not in PAGES[self.type]:
            allowed = ", ".join(PAGES[self.type])
            raise InvalidValue("launch_page", f"of a {self.type} session must be one of {allowed}")
        for field, value in (("resource", self.resource), ("resource_id", self.resource_id)):
            if (value is None) is (self.type == RESOURCE):
                needed = "is required for" if value is None else "is only for"
                raise InvalidValue(field, f"{needed} a session of type {RESOURCE}")
        values.resource(self.resource)
        values.resource_id(self.resource_id)
        values.free_text("external_user_id", self.external_user_id or "", longest=255)


class EmbedSessions:
    """Methods that are given an organization find only what belongs to it: else `NotFound`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def create(
        self, organization: str, key: str, chosen: NewEmbedSession
    ) -> tuple[EmbedSession, str]:
        """Start a session, for the machine key of this id; also return its launch token.

        Raises:
            InvalidValue: one of the origins.
            NotFound: the workspace.
        """
        workspace = values.known_id("workspace", chosen.workspace)
        owner = values.known_id("organization", organization)
        token = secrets.token_urlsafe(32)
        async with transaction(self._pool) as conn:
            await conn.execute(
                "DELETE FROM embed_sessions WHERE created_at < clock_timestamp() - $1::interval",
                KEPT,
            )
            id = await conn.fetchval(
                """
                INSERT INTO embed_sessions (
                    workspace_id, key_id, role, type, resource, resource_id, extra_scopes, origins,
                    external_user_id, launch_page, launch_hash, launch_expires_at, ttl_seconds,
                    expires_at)
                SELECT id, $3::uuid, $4, $5, $6, $7, $8::text[], $9::text[], $10, $11, $12::bytea,
                    clock_timestamp() + $13::interval, $14::integer,
                    clock_timestamp() + make_interval(secs => $14::integer)
                FROM workspaces WHERE id = $1 AND organisation_id = $2
                RETURNING id
                """,
                workspace,
                owner,
                UUID(key),
                chosen.role,
                chosen.type,
                chosen.resource,
                chosen.resource_id,
                chosen.extra_scopes,
                _origins(chosen.origins),
                chosen.external_user_id,
                chosen.launch_page,
                hash_of(token),
                timedelta(seconds=chosen.launch_ttl_seconds),
                chosen.ttl_seconds,
            )
            row = await conn.fetchrow("SELECT * FROM known_embed_sessions WHERE id = $1", id)
        return _session(found(row, "workspace", chosen.workspace)), token

    async def launch(self, token: str) -> EmbedSession | None:
        """Use up a launch token; None if it was used before, has expired, or was never issued."""
        used = await fetchrow(
            self._pool,
            "UPDATE embed_sessions SET launch_hash = NULL WHERE launch_hash = $1 "
            "RETURNING id, launch_expires_at > clock_timestamp() AS in_time",
            hash_of(token),
        )
        return await self._read(used["id"]) if used is not None and used["in_time"] else None

    async def read(self, id: str) -> EmbedSession | None:
        """Return the session; None once it, its newest access token, or its key has ended."""
        session = await self._read(_uuid(id))
        return None if session is None or session.expired else session

    async def refresh(self, organization: str, id: str) -> EmbedSession:
        """Give it a new access token; the ones before are no longer accepted.

        Raises:
            Conflict: the session has ended.
            NotFound: there is no such session.
        """
        ids = _uuid(id), values.known_id("organization", organization)
        known = await fetchrow(
            self._pool,
            "SELECT id FROM known_embed_sessions WHERE id = $1 AND organisation_id = $2",
            *ids,
        )
        found(known, "session", id)
        refreshed = await fetchrow(
            self._pool,
            """
            UPDATE embed_sessions s SET generation = s.generation + 1,
                expires_at = clock_timestamp() + make_interval(secs => s.ttl_seconds)
            FROM known_embed_sessions known
            WHERE s.id = $1 AND known.id = s.id AND NOT known.ended
                AND s.created_at > clock_timestamp() - $2::interval
            RETURNING s.id
            """,
            ids[0],
            LASTS,
        )
        session = None if refreshed is None else await self._read(ids[0])
        if session is None:
            raise Conflict("the session has ended: create a new one")
        return session

    async def revoke(self, organization: str, id: str) -> None:
        """End it for good. Revoking it again changes nothing."""
        row = await fetchrow(
            self._pool,
            "UPDATE embed_sessions s SET launch_hash = NULL, "
            "revoked_at = coalesce(s.revoked_at, clock_timestamp()) FROM workspaces w "
            "WHERE s.id = $1 AND w.organisation_id = $2 AND w.id = s.workspace_id RETURNING s.id",
            _uuid(id),
            values.known_id("organization", organization),
        )
        found(row, "session", id)

    async def list(
        self,
        organization: str,
        workspace: str,
        *,
        revoked: bool | None = None,
        resource: str | None = None,
        resource_id: str | None = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
    ) -> Page[EmbedSession]:
        """List a workspace's sessions of the last `KEPT`, newest first."""
        paging = Paging(limit, cursor)
        filters = (resource, resource_id)
        if not all(text is None or values.storable(text) for text in filters):
            return Page(records=(), next_cursor=None)
        rows = await fetch(
            self._pool,
            """
            SELECT * FROM known_embed_sessions
            WHERE workspace_id = $1 AND organisation_id = $2
                AND created_at > clock_timestamp() - $9::interval
                AND ($3::boolean IS NULL OR (revoked_at IS NOT NULL) = $3)
                AND ($4::text IS NULL OR resource = $4)
                AND ($5::text IS NULL OR resource_id = $5)
                AND ($6::timestamptz IS NULL OR (created_at, id) < ($6, $7::uuid))
            ORDER BY created_at DESC, id DESC LIMIT $8
            """,
            values.known_id("workspace", workspace),
            values.known_id("organization", organization),
            revoked,
            *filters,
            *paging.parameters(),
            KEPT,
        )
        return paging.page(rows, _session)

    async def _read(self, id: UUID) -> EmbedSession | None:
        query = "SELECT * FROM known_embed_sessions WHERE id = $1 AND NOT ended"
        row = await fetchrow(self._pool, query, id)
        return None if row is None else _session(row)


def _uuid(id: str) -> UUID:
    """Read the id of a session. Raises `NotFound`."""
    shape = _ID.fullmatch(id)
    uuid = values.read_id(shape[1]) if shape else None
    if uuid is None:
        raise NotFound("session", id)
    return uuid


def _origins(given: Sequence[str] | None) -> list[str] | None:
    if not given:
        return None
    if len(given) > MOST_ORIGINS:
        raise InvalidValue("allowed_origins", f"has {len(given)}, must have {MOST_ORIGINS} at most")
    return list(dict.fromkeys(origin("allowed_origins", one.removesuffix("/")) for one in given))


def _session(row: Record) -> EmbedSession:
    return EmbedSession(
        id=f"sess_{row['id']}",
        organization=str(row["organisation_id"]),
        workspace=str(row["workspace_id"]),
        type=row["type"],
        role=row["role"],
        resource=row["resource"],
        resource_id=row["resource_id"],
        extra_scopes=tuple(row["extra_scopes"]),
        origins=None if row["origins"] is None else tuple(row["origins"]),
        external_user_id=row["external_user_id"],
        launch_page=row["launch_page"],
        launch_expires_at=row["launch_expires_at"],
        generation=row["generation"],
        ttl_seconds=row["ttl_seconds"],
        expires_at=row["expires_at"],
        expired=row["expired"],
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
        may=_may(row) & scopes_of(row),
    )


def _may(row: Record) -> frozenset[str]:
    """Return the scopes of a role; none of a type or role that this release doesn't know."""
    if row["type"] not in PAGES:
        return frozenset()
    if row["type"] == DASHBOARD:
        return frozenset((READ,))
    may = ROLES.get(row["role"], frozenset())
    return may | {PAYLOAD} if MANAGE in may and READS_PAYLOADS in row["extra_scopes"] else may
