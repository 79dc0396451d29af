"""`emitonce test-event`: from nothing to a delivered event, in one command."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from catalog.paging import read_all
from destinations.customerio.simulator import EU_KEY, US_KEY
from eventlog.log import EventLog
from settings import SettingsError
from starter.cli.dependencies import CREATED_BY, Dependencies, log_when_ended, with_dependencies
from starter.cli.emit import show_ended
from starter.cli.output import Json, say

NAME = "Test event"
EVENT = "user.signup"
OVERRIDE = "Signed Up"
PAYLOAD: dict[str, Any] = {
    "userId": "usr_2048",
    "email": "test@example.com",
    "first_name": "Test",
    "last_name": "User",
    "plan": "pro",
}


def send_test_event(
    region: Annotated[str, typer.Option(help="Of the Customer.io workspace: us or eu.")] = "us",
    as_json: Json = False,
) -> None:
    """Send the sample event and wait for it; exit code 1 if it was not delivered.

    It goes through a workspace of its own, "Test event", made the first time with a connection and
    a rule. To Customer.io itself it needs the key of a Pipelines source, from
    CUSTOMERIO_CDP_API_KEY, and identifies the person usr_2048 there.
    """
    show_ended(with_dependencies(lambda parts: _deliver(parts, region)), as_json)


async def _deliver(parts: Dependencies, region: str) -> EventLog:
    workspace = await _workspace(parts)
    await _connection_with_rule(parts, workspace, region)
    emitter = await parts.emitter()
    handle = await emitter.emit(EVENT, PAYLOAD, workspace=workspace)
    say(f"accepted as event {handle.id}; waiting for its deliveries")
    return await log_when_ended(emitter.client, handle)


async def _workspace(parts: Dependencies) -> str:
    workspaces = parts.catalog.workspaces
    for workspace in await read_all(workspaces.list, parts.organisation):
        if workspace.name == NAME:
            return workspace.id
    return (await workspaces.create(parts.organisation, name=NAME)).id


async def _connection_with_rule(parts: Dependencies, workspace: str, region: str) -> None:
    catalog, organisation = parts.catalog, parts.organisation
    made = await read_all(catalog.connections.list, organisation, workspace=workspace)
    if any(connection.settings.get("region") == region for connection in made):
        return
    connection = await catalog.connections.create(
        organisation,
        workspace=workspace,
        name=f"Customer io {region}",
        type="customer_io",
        fields={"region": region, "cdpApiKey": _api_key(parts, region)},
        created_by=CREATED_BY,
    )
    await catalog.rules.create(
        organisation,
        workspace=workspace,
        connection=connection.id,
        event=EVENT,
        metadata={"action": "track_event", "event_name_override": OVERRIDE},
        created_by=CREATED_BY,
    )


def _api_key(parts: Dependencies, region: str) -> str:
    if key := os.environ.get("CUSTOMERIO_CDP_API_KEY"):
        return key
    if region not in parts.settings.urls_by_type().get("customer_io", {}):
        raise SettingsError(
            "CUSTOMERIO_CDP_API_KEY must hold the key of a Pipelines source "
            "(Customer.io: Data & Integrations, Sources, HTTP API)"
        )
    return EU_KEY if region == "eu" else US_KEY
