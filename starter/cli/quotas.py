"""`emitonce keys quota` and `emitonce workspaces quota`: how much may be emitted over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from catalog.quotas import MOST_BYTES, MOST_EVENTS, Quota
from starter.cli.context import ThisWorkspace
from starter.cli.dependencies import Dependencies, recorded, with_dependencies
from starter.cli.output import Json, print_answer

Events = Annotated[
    int | None,
    typer.Option(min=1, max=MOST_EVENTS, help="Events per minute. Default: the API's setting."),
]
Bytes = Annotated[
    int | None,
    typer.Option(
        "--bytes", min=1, max=MOST_BYTES, help="Of bodies, per minute. Default: the API's setting."
    ),
]


@with_dependencies
@recorded("set_quota")
async def key_quota(
    parts: Dependencies,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key's id, see keys list.")],
    events: Events = None,
    bytes_: Bytes = None,
    as_json: Json = False,
) -> None:
    """Set a key's own quota; without options, remove it."""
    quota = Quota(events, bytes_)
    await parts.catalog.quotas.set_of_key(parts.organization, key, quota)
    _show("key", key, quota, as_json)


@with_dependencies
@recorded("set_quota")
async def workspace_quota(
    parts: Dependencies,
    workspace: ThisWorkspace,
    events: Events = None,
    bytes_: Bytes = None,
    as_json: Json = False,
) -> None:
    """Set a quota for all keys of a workspace together; without options, remove it."""
    quota = Quota(events, bytes_)
    await parts.catalog.quotas.set_of_workspace(parts.organization, workspace, quota)
    _show("workspace", workspace, quota, as_json)


def _show(noun: str, id: str, quota: Quota, as_json: bool) -> None:
    events, size = (
        "by the API's setting" if limit is None else f"{limit:,}"
        for limit in (quota.events, quota.bytes)
    )
    print_answer(
        {noun: id, "events_per_minute": quota.events, "bytes_per_minute": quota.bytes},
        f"{noun} {id}: events per minute {events}, bytes per minute {size}",
        as_json=as_json,
    )
