"""Check and show bulk redeliveries, for CLI and API."""

from __future__ import annotations

from dataclasses import asdict

from temporalio.client import Client

from catalog import Catalog
from catalog.errors import NotFound
from delivery.selection import Selection
from operations.bulk_redelivery import (
    RedeliveryNotFound,
    RedeliveryPlan,
    RedeliveryStatus,
    read_redelivery,
)
from starter.json_objects import JsonObject, listed_event_object, moment


async def within(catalog: Catalog, organization: str, selection: Selection) -> Selection:
    """Return the selection once it is certain that all it names is the organization's.

    Raises:
        NotFound: workspace, connection or rule is unknown or someone else's, or of another
            workspace.
    """
    workspace = await catalog.workspaces.get(organization, selection.workspace)
    named = {"workspace": workspace.id}
    for noun, store, id in (
        ("connection", catalog.connections, selection.connection),
        ("rule", catalog.rules, selection.rule),
    ):
        if id is not None:
            found = await store.get(organization, id)
            if found.workspace != workspace.id:
                raise NotFound(noun, id)
            named[noun] = found.id
    return selection.model_copy(update=named)


async def own_redelivery(
    client: Client, catalog: Catalog, organization: str, id: str
) -> RedeliveryStatus:
    """Read a redelivery's status. What it selects by may have been deleted since.

    Raises:
        RedeliveryNotFound: it is unknown or someone else's.
    """
    status = await read_redelivery(client, id)
    try:
        await catalog.workspaces.get(organization, status.selection.workspace)
    except NotFound:
        raise RedeliveryNotFound(f"no redelivery {id} is known here") from None
    return status


def selection_object(selection: Selection) -> JsonObject:
    fields = selection.model_dump(mode="json", exclude_none=True)
    for name in ("accepted_from", "accepted_to", "as_of"):
        fields[name] = moment(getattr(selection, name))
    return fields


def plan_object(plan: RedeliveryPlan) -> JsonObject:
    return {
        "id": plan.id,
        "selection": selection_object(plan.selection),
        "matched": plan.matched,
        "exact": plan.exact,
        "sample": [listed_event_object(listed) for listed in plan.sample],
    }


def status_object(status: RedeliveryStatus) -> JsonObject:
    return {
        "id": status.id,
        "state": status.state,
        "selection": selection_object(status.selection),
        "started_at": moment(status.started_at),
        "ended_at": moment(status.ended_at) if status.ended_at else None,
        "progress": _progress_object(status) if status.progress else None,
        "result": asdict(status.result) if status.result else None,
    }


def _progress_object(status: RedeliveryStatus) -> JsonObject:
    assert status.progress is not None
    shown = status.progress.model_dump(mode="json", exclude_none=True)
    for outcome, told in zip(status.progress.latest, shown["latest"], strict=True):
        if outcome.outcome != "skipped" and outcome.sent_event_id in status.statuses:
            told["status"] = status.statuses[outcome.sent_event_id]
    return shown
