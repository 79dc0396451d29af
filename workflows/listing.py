"""Which search attributes a run still lacks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from temporalio.common import SearchAttributeUpdate, TypedSearchAttributes

from delivery import search_attributes as names
from delivery.event import Event
from delivery.rule import MatchResult


def listing_updates(
    event: Event, matched: MatchResult, accepted_at: datetime, present: TypedSearchAttributes
) -> list[SearchAttributeUpdate[Any]]:
    """The updates that make an event findable, whoever started it.

    A starter that knows them has set most already; a plain Temporal client has set none.
    """
    wanted: list[SearchAttributeUpdate[Any]] = [
        names.WORKSPACE.value_set(event.workspace),
        names.EVENT.value_set(event.event),
        names.RESOURCE.value_set(event.resource),
        names.ACCEPTED_AT.value_set(accepted_at),
    ]
    if matched.resource_id_hash is not None:
        wanted.append(names.RESOURCE_ID.value_set(matched.resource_id_hash))
    if event.test:
        wanted.append(names.STATE.value_set(names.TEST))
    set_already = {pair.key.name for pair in present}
    missing = [update for update in wanted if update.key.name not in set_already]
    if matched.rules:
        connections = sorted({rule.connection for rule in matched.rules})
        missing.append(names.CONNECTIONS.value_set(connections))
        missing.append(names.RULES.value_set([rule.id for rule in matched.rules]))
    return missing
