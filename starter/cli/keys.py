"""`emitonce keys …`: keys for the HTTP API, and keys that encrypt stored data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import typer

from catalog.api_key_rights import KeyRights
from catalog.errors import NotFound
from catalog.machine_keys import MachineKey, NewMachineKey
from catalog.publishable_keys import PublishableKey
from catalog.scopes import ALL, SCOPES, in_order
from starter.cli.context import Noun
from starter.cli.dependencies import CREATED_BY, Dependencies, command, recorded
from starter.cli.encryption_keys import generate, rotate, status
from starter.cli.moments import read_duration
from starter.cli.output import Json, print_answer, print_json, print_table, say
from starter.cli.quotas import key_quota
from starter.json_objects import moment, publishable_key_object

keys = typer.Typer(help="Keys for the HTTP API, and keys that encrypt stored data.")
keys.command("generate")(generate)
keys.command("rotate")(rotate)
keys.command("status")(status)

Name = Annotated[str, typer.Option(help="What it is for, such as the service that uses it.")]


Events = Annotated[
    list[str] | None,
    typer.Option("--event", help="An event that the key may emit; repeatable. Default: any."),
]
Origins = Annotated[
    list[str] | None,
    typer.Option(
        "--origin",
        help="A web origin that it may be used from, such as https://www.example.com; "
        "repeatable. Default: any. This stops other pages, not scripts.",
    ),
]
MayIdentify = Annotated[
    str | None,
    typer.Option(metavar="any|anonymous", help="anonymous: it may not identify known people."),
]
KeepWide = Annotated[
    bool, typer.Option("--keep-wide", help="The key is unrestricted on purpose: don't warn.")
]


# Of machine keys and tokens.
Scopes = Annotated[
    list[str] | None,
    typer.Option("--scope", help=f"What it may do: {', '.join(SCOPES)}; absent: everything."),
]


@command(keys, "create")
@recorded("create_key")
async def create(
    parts: Dependencies,
    kind: Annotated[
        Literal["machine", "token", "publishable"],
        typer.Argument(
            help="machine: signs a new token for each request, as Meshes' clients do; token: a "
            "static one, for curl or a CI job; publishable: for web pages."
        ),
    ],
    name: Name,
    workspace: Annotated[
        str | None,
        typer.Option(help="A publishable key's. Default: the one in use, or the only one."),
        Noun.WORKSPACE,
    ] = None,
    expires_in: Annotated[
        str | None,
        typer.Option(
            help="When a machine key or token expires: 12h, 90d, never; absent: after "
            "EMITONCE_KEY_DAYS."
        ),
    ] = None,
    scope: Scopes = None,
    replaces: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="The key that this one replaces: a request sent with both counts once.",
        ),
    ] = None,
    event: Events = None,
    origin: Origins = None,
    identify: MayIdentify = None,
    keep_wide: KeepWide = False,
    as_json: Json = False,
) -> None:
    """Create a key of the HTTP API. A machine key's secret, or a token, is shown only once.

    Anyone who sees a page can use its publishable key. Without --event or --identify anonymous, it
    can change any person's data at the destinations.
    """
    if kind != "publishable":
        made = await parts.catalog.machine_keys.create(
            parts.organization,
            name=name,
            created_by=CREATED_BY,
            expires_at=_end(expires_in, parts.settings.key_days),
            scopes=scope or ALL,
            as_token=kind == "token",
        )
        parts.made["key_id"] = made.key.id
        _show_machine_key(made, as_json)
        return
    narrowed = event or origin or identify
    created = await parts.catalog.publishable_keys.create(
        parts.organization,
        workspace=workspace or await parts.names.the_workspace(),
        name=name,
        created_by=CREATED_BY,
        rights=KeyRights.of(event, origin, identify) if narrowed else None,
        kept_wide=keep_wide,
        replaces=replaces,
    )
    parts.made["key_id"] = created.id
    _show_publishable_key(created, as_json)


@command(keys, "list")
async def list_all(parts: Dependencies, as_json: Json = False) -> None:
    """List the keys of the HTTP API, newest first, without secrets."""
    machine = await parts.catalog.machine_keys.list(parts.organization)
    publishable = await parts.catalog.publishable_keys.list(parts.organization)
    found = [*map(_machine_object, machine), *map(_publishable_object, publishable)]
    if as_json:
        print_json({"count": len(found), "records": found})
        return
    print_table(
        ("id", "kind", "name", "key", "created", "last used", "expires"),
        [
            (
                key["id"],
                key["kind"],
                key["name"],
                key.get("access_key") or key["public_key"],
                key["created_at"],
                key.get("last_used_at") or "",
                key["revoked_at"] or key.get("expires_at") or "",
            )
            for key in found
        ],
        empty="no key yet: emitonce keys create machine --name 'My service'",
    )


@command(keys, "narrow")
@recorded("put_key_rights")
async def narrow(
    parts: Dependencies,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key's id, see keys list.")],
    event: Events = None,
    origin: Origins = None,
    identify: MayIdentify = None,
    keep_wide: KeepWide = False,
    as_json: Json = False,
) -> None:
    """Restrict a publishable key from now on. What you leave out is unrestricted."""
    if not (event or origin or identify or keep_wide):
        raise typer.BadParameter("choose --event, --origin, --identify or --keep-wide")
    rights = KeyRights.of(event, origin, identify)
    narrowed = await parts.catalog.publishable_keys.set_rights(
        parts.organization, key, rights, kept_wide=keep_wide
    )
    _show_publishable_key(narrowed, as_json)


@command(keys, "revoke")
@recorded("revoke_key")
async def revoke(
    parts: Dependencies,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key's id, see keys list.")],
    as_json: Json = False,
) -> None:
    """Revoke a key permanently. It stops working everywhere at once."""
    machine, publishable = parts.catalog.machine_keys, parts.catalog.publishable_keys
    try:
        revoked = _machine_object(await machine.revoke(parts.organization, key))
    except NotFound:
        revoked = _publishable_object(await publishable.revoke(parts.organization, key))
    words = f"revoked the {revoked['kind']} key {revoked['id']}"
    print_answer(revoked, words, as_json=as_json)


def _end(text: str | None, days: int) -> datetime | None:
    """Add a length of time to now. Raises `typer.BadParameter`."""
    now = datetime.now(UTC)
    if text == "never":
        return None
    if text is None:
        return now + timedelta(days=days) if days else None
    try:
        return now + read_duration(text, "--expires-in")
    except OverflowError:
        raise typer.BadParameter(f"{text} is too long", param_hint="--expires-in") from None


def _show_machine_key(made: NewMachineKey, as_json: bool) -> None:
    shown = {
        "organization": made.key.organization,
        "access_key": made.key.access_key,
        "token" if made.key.is_token else "secret_key": made.secret_key.get_secret_value(),
        "scopes": in_order(made.key.scopes),
        "expires_at": moment(made.key.expires_at) if made.key.expires_at else None,
    }
    words = "\n".join(
        f"{name:<13} {', '.join(value) if isinstance(value, list) else value or 'never'}"
        for name, value in shown.items()
    )
    print_answer(shown, words, as_json=as_json)
    say("the secret is not shown again; put it into a secret store")


def _show_publishable_key(made: PublishableKey, as_json: bool) -> None:
    print_answer(_publishable_object(made), made.public_key, as_json=as_json)
    if made.needs_narrowing:
        say(
            "anyone who sees a page with this key can change any person's data: "
            f"emitonce keys narrow {made.id} --event … --identify anonymous, or --keep-wide"
        )


def _machine_object(key: MachineKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "kind": "token" if key.is_token else "machine",
        "organization": key.organization,
        "access_key": key.access_key,
        "name": key.name,
        "scopes": in_order(key.scopes),
        "created_at": moment(key.created_at),
        "expires_at": moment(key.expires_at) if key.expires_at else None,
        "last_used_at": moment(key.last_used_at) if key.last_used_at else None,
        "revoked_at": moment(key.revoked_at) if key.revoked_at else None,
    }


def _publishable_object(key: PublishableKey) -> dict[str, Any]:
    return {"kind": "publishable", **publishable_key_object(key)}


keys.command("quota")(key_quota)
