"""`emitonce test-event`: from nothing to a delivered event, in one command."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from catalog.paging import read_all
from settings import SettingsError
from starter.cli.dependencies import Dependencies, log_when_ended, with_dependencies
from starter.cli.emit import show_ended
from starter.cli.output import Json, say
from starter.cli.tour import EVENT, KEYS, PAYLOAD, connect_customerio

NAME = "Test event"


@with_dependencies
async def send_test_event(
    parts: Dependencies,
    region: Annotated[
        str, typer.Option(help="Region of the Customer.io workspace: us or eu.")
    ] = "us",
    as_json: Json = False,
) -> None:
    """Send the sample event and wait for it; exit code 1 if it was not delivered.

    It uses its own workspace, "Test event", which is created the first time, with a connection and
    a rule. To reach Customer.io itself, set CUSTOMERIO_CDP_API_KEY to the key of a Pipelines
    source; the person usr_2048 is identified there.
    """
    workspace = await _workspace(parts)
    await _connect(parts, workspace, region)
    emitter = await parts.emitter()
    handle = await emitter.emit(EVENT, PAYLOAD, workspace=workspace)
    say(f"accepted as event {handle.id}; waiting for its deliveries")
    show_ended(await log_when_ended(parts, emitter.client, handle), as_json)


async def _workspace(parts: Dependencies) -> str:
    workspaces = parts.catalog.workspaces
    known = {one.name: one for one in await read_all(workspaces.list, parts.organization)}
    found = known.get(NAME) or await workspaces.create(parts.organization, name=NAME)
    return found.id


async def _connect(parts: Dependencies, workspace: str, region: str) -> None:
    catalog, organization = parts.catalog, parts.organization
    made = await read_all(catalog.connections.list, organization, workspace=workspace)
    if not any(connection.settings.get("region") == region for connection in made):
        await connect_customerio(catalog, organization, workspace, region, _api_key(parts, region))


def _api_key(parts: Dependencies, region: str) -> str:
    if key := os.environ.get("CUSTOMERIO_CDP_API_KEY"):
        return key
    if region not in parts.settings.urls_by_type().get("customer_io", {}):
        raise SettingsError(
            "CUSTOMERIO_CDP_API_KEY must hold the key of a Pipelines source "
            "(Customer.io: Data & Integrations, Sources, HTTP API)"
        )
    return KEYS[region]
