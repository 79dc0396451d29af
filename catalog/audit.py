"""The audit of who did what: each act is recorded before it is done, and its outcome afterwards.

So nothing is done that can't be recorded. If an act has no outcome, nobody knows whether it was
done.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from catalog import values
from catalog.database import Pool, Record, execute, fetch, fetchrow
from catalog.paging import DEFAULT_LIMIT, Page, Paging

DONE = "done"

_NEWEST = """
    SELECT a.*, o.outcome, coalesce(o.ids, '{}') AS made FROM audit a
    LEFT JOIN audit_outcomes o ON o.audit_id = a.id
    WHERE (a.organisation_id = $1 OR a.organisation_id IS NULL)
        AND ($2::timestamptz IS NULL OR (a.created_at, a.id) < ($2, $3::uuid))
    ORDER BY a.created_at DESC, a.id DESC LIMIT $4
"""


@dataclass(frozen=True)
class Act:
    """Something that is done, by way of `via` (`api`, `console` or `cli`).

    `actor` is a key's id, or `cli:<name of the system's user>`. `address` is the caller's; only its
    network is kept. `ids` are the ids of what the act changes.
    """

    via: str
    actor: str
    name: str
    organization: str | None = None
    address: str | None = None
    ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Recorded:
    """An act with its outcome: `done`, `failed`, an error's status, or None if it isn't known."""

    id: str
    created_at: datetime
    act: Act
    outcome: str | None


class Audit:
    """Every method raises `CatalogUnavailable`, also if the table can't be written to."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def start(self, act: Act) -> str:
        """Record what is about to be done; returns the entry's id."""
        row = await fetchrow(
            self._pool,
            "INSERT INTO audit (organisation_id, via, actor, act, ids, address) "
            "VALUES ($1::uuid, $2, $3, $4, $5, $6) RETURNING id",
            act.organization,
            act.via,
            act.actor,
            act.name,
            dict(act.ids),
            _network(act.address),
        )
        assert row is not None
        return str(row["id"])

    async def end(
        self, id: str, outcome: str = DONE, made: Mapping[str, str] | None = None
    ) -> None:
        """Record how it ended. `made` are the ids of what it has made."""
        query = "INSERT INTO audit_outcomes (audit_id, outcome, ids) VALUES ($1::uuid, $2, $3)"
        await execute(self._pool, query, id, outcome, dict(made or {}))

    async def list(
        self, organization: str, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
    ) -> Page[Recorded]:
        """Return the organization's acts, newest first, and failed sign-ins with unknown keys."""
        paging = Paging(limit, cursor)
        owner = values.known_id("organization", organization)
        rows = await fetch(self._pool, _NEWEST, owner, *paging.parameters())
        return paging.page(rows, _recorded)

    async def forget(self, days: int) -> None:
        """Delete what is older than `days`, and always keep the last 30 days."""
        await execute(self._pool, "SELECT emitonce_forget_audit($1)", days)


def _network(address: str | None) -> str | None:
    """Return an address's network, /24 or /48 of IPv6, so that no single person is recorded."""
    try:
        version = ipaddress.ip_address(address or "").version
    except ValueError:
        return None
    network = ipaddress.ip_network(f"{address}/{24 if version == 4 else 48}", strict=False)
    return str(network)


def _recorded(row: Record) -> Recorded:
    organization = row["organisation_id"]
    return Recorded(
        id=str(row["id"]),
        created_at=row["created_at"],
        act=Act(
            via=row["via"],
            actor=row["actor"],
            name=row["act"],
            organization=str(organization) if organization else None,
            address=row["address"],
            ids={**row["ids"], **row["made"]},
        ),
        outcome=row["outcome"],
    )
