"""The search attributes that a run still lacks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from temporalio.common import SearchAttributeUpdate, TypedSearchAttributes

from delivery import search_attributes as names
from delivery.event import Event
from delivery.rule import MatchResult

# The server ends a run that sets a search attribute of more than 2,048 bytes. An id needs 39, so
# only half of the hundred rules that may match an event are listed.
MOST_IDS = 50


def attribute_updates(
    event: Event, matched: MatchResult, accepted_at: datetime, present: TypedSearchAttributes
) -> list[SearchAttributeUpdate[Any]]:
    """Return the updates that make an event findable, whoever started it.

    Our own starters have set most attributes already; a plain Temporal client has set none.
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
    rules, connections = _rules_and_connections(event, matched)
    # A starter has set those that it knows, and a redelivery those of earlier runs.
    people = list(dict.fromkeys([*(present.get(names.PEOPLE) or ()), *(matched.people or ())]))
    for key, values in (
        (names.CONNECTIONS, connections),
        (names.RULES, rules),
        (names.PEOPLE, people[:MOST_IDS]),
    ):
        if values and present.get(key) != values:
            missing.append(key.value_set(values))
    return missing


def _rules_and_connections(event: Event, matched: MatchResult) -> tuple[list[str], list[str]]:
    """Return the ids, also of deliveries that a redelivery doesn't make again: 50 of each."""
    earlier = event.redelivery.earlier if event.redelivery else ()
    rules = [rule.id for rule in matched.rules]
    connections = {rule.connection for rule in matched.rules}
    return (
        list(dict.fromkeys([*(delivery.rule for delivery in earlier), *rules]))[:MOST_IDS],
        sorted(connections.union(delivery.connection for delivery in earlier))[:MOST_IDS],
    )
