"""Who did what: an act is recorded before it is done, and how it ended afterwards.

So nothing is done that can't be recorded; of an act without an outcome it isn't known whether it
was done.
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
    """What is done: by whom, on what, by `via` (`api`, `console` or `cli`).

    `actor` is a key's id, or `cli:<name of the system's user>`. `address` is where it comes from;
    only the network is kept. `ids` are those of what it is done to.
    """

    via: str
    actor: str
    name: str
    organisation: str | None = None
    address: str | None = None
    ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Recorded:
    """An act with its outcome: `done`, an error's status, or None if it isn't known."""

    id: str
    created_at: datetime
    act: Act
    outcome: str | None


class Audit:
    """Every method raises `CatalogUnavailable`, also where the table can't be written."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def start(self, act: Act) -> str:
        """Record what is about to be done; returns the entry's id."""
        row = await fetchrow(
            self._pool,
            "INSERT INTO audit (organisation_id, via, actor, act, ids, address) "
            "VALUES ($1::uuid, $2, $3, $4, $5, $6) RETURNING id",
            act.organisation,
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
        self, organisation: str, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
    ) -> Page[Recorded]:
        """The organization's acts, newest first, with those of nobody who could be named."""
        paging = Paging(limit, cursor)
        created_at, id, count = paging.parameters()
        rows = await fetch(
            self._pool,
            _NEWEST,
            values.known_id("organisation", organisation),
            created_at,
            id,
            count,
        )
        return paging.page(rows, _recorded)

    async def forget(self, days: int) -> None:
        """Delete what is older than that, and older than a month."""
        await execute(self._pool, "SELECT emitonce_forget_audit($1)", days)


def _network(address: str | None) -> str | None:
    """The network of an address, so that no single person is recorded: /24, or /48 of IPv6."""
    try:
        version = ipaddress.ip_address(address or "").version
    except ValueError:
        return None
    network = ipaddress.ip_network(f"{address}/{24 if version == 4 else 48}", strict=False)
    return str(network)


def _recorded(row: Record) -> Recorded:
    organisation = row["organisation_id"]
    return Recorded(
        id=str(row["id"]),
        created_at=row["created_at"],
        act=Act(
            via=row["via"],
            actor=row["actor"],
            name=row["act"],
            organisation=str(organisation) if organisation else None,
            address=row["address"],
            ids={**row["ids"], **row["made"]},
        ),
        outcome=row["outcome"],
    )
