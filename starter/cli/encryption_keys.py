"""`emitonce keys rotate`, `keys status`, `keys generate`: what encrypts, and how it is changed.

A key is changed in two steps, so that whatever one process writes every other can read:

1. `emitonce keys generate` makes one. Put it in front of the present one, in
   EMITONCE_CREDENTIAL_KEYS or EMITONCE_PAYLOAD_KEYS of every process, and restart them one after
   the other. All go on encrypting with the present key.
2. `emitonce keys rotate`, with the same settings, puts it to use, which is refused while a process
   that runs lacks it; then it encrypts what is stored in the catalog anew. It can be stopped and
   run again.

`emitonce keys status` tells when the former key is needed no more.
"""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import time
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from catalog.encryption.keys_in_use import KINDS, SETTING, Holder, Kind
from catalog.encryption.stored_secrets import Reencryption
from emitonce.key_ring import KEY_BYTES
from emitonce.published_keys import publish_keys_in_use
from operations.key_watch import PAYLOAD_KEY_NEEDED, Ring, key_needed
from starter.cli.errors import CommandFailed, Exit
from starter.cli.output import Json, console, print_json, print_table, say
from starter.cli.parts import Parts, with_parts

keys = typer.Typer(help="Keys of the HTTP API, and those that encrypt what is stored.")

# Processes hear of a key put to use at once, and look every 10 seconds in any case.
LONGEST_WAIT = 30.0


@keys.command("generate")
def generate(
    key_id: Annotated[
        str | None, typer.Option("--id", help="Absent: k and today's date, with four digits more.")
    ] = None,
) -> None:
    """Print a new key as EMITONCE_CREDENTIAL_KEYS and EMITONCE_PAYLOAD_KEYS take it.

    Keys are secrets: let the output go into a secret store, not into a terminal's history.
    """
    key_id = key_id or f"k{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(2)}"
    key = base64.b64encode(os.urandom(KEY_BYTES)).decode()
    console.print(f"{key_id}:{key}", markup=False, soft_wrap=True)


@keys.command("rotate")
def rotate(
    kind: Annotated[
        str | None, typer.Option("--only", help="credential or payload; absent: both.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Put the newest keys to use, once every process has them, and encrypt credentials anew."""
    if kind not in (None, *KINDS):
        raise typer.BadParameter("must be credential or payload", param_hint="--only")
    wanted: tuple[Kind, ...] = tuple(each for each in KINDS if kind in (None, each))
    done = with_parts(lambda parts: _rotate(parts, wanted))
    if as_json:
        print_json(done)
    else:
        for each in wanted:
            console.print(f"{each} key in use: {done['in_use'][each]}", markup=False)
        console.print(f"credentials encrypted anew: {done['reencrypted']}", markup=False)
    if done["unreadable"]:
        raise CommandFailed(
            Exit.BAD,
            "no key of the ring opens these, replace their secrets: "
            + ", ".join(done["unreadable"]),
        )


async def _rotate(parts: Parts, kinds: tuple[Kind, ...]) -> dict[str, Any]:
    key_use, client = parts.catalog.key_use, await parts.temporal()
    rings: dict[Kind, Ring] = {
        "credential": parts.catalog.cipher,
        "payload": parts.secrets.payload_ring(),
    }
    in_use: dict[str, str | None] = {}
    for kind in kinds:
        newest = next(iter(rings[kind].check_values), None)
        in_use[kind] = newest
        if newest is None:
            continue
        if await key_use.begin(kind, newest, rings[kind].check_values[newest]):
            say(f"put the {kind} key {newest} to use")
        await _used_everywhere(parts, kind, newest)
        rings[kind].use(newest)
    used = [(key.key_id, key.check_value) for key in await key_use.in_use("payload")]
    if not await publish_keys_in_use(client, parts.settings.task_queue, used):
        say("the namespace can't be changed: emitters can't see which keys are in use")
    reencrypted, unreadable = 0, list[str]()
    if "credential" in kinds:
        async for batch in Reencryption(parts.catalog.pool, parts.catalog.cipher).run():
            reencrypted += batch.done
            unreadable += batch.unreadable
            say(f"credentials encrypted anew: {reencrypted}")
    return {"in_use": in_use, "reencrypted": reencrypted, "unreadable": unreadable}


async def _used_everywhere(parts: Parts, kind: Kind, key_id: str) -> None:
    """Wait until no process writes with the former key, so that nothing is encrypted with it
    behind our back; one that is that slow is found by running the command again.
    """
    deadline = time.monotonic() + LONGEST_WAIT
    while True:
        late = [
            holder
            for holder in await parts.catalog.key_use.holders()
            if holder.sealing[kind] not in (None, key_id)
        ]
        if not late:
            return
        if time.monotonic() > deadline:
            say(f"still with the former {kind} key: {', '.join(map(str, late))}")
            return
        await asyncio.sleep(0.2)


@keys.command("status")
def status(as_json: Json = False) -> None:
    """Show which keys are in use, which processes have them, and which are needed no more."""
    found = with_parts(_status, check_keys=False)
    if as_json:
        print_json(found)
    else:
        print_table(
            ("kind", "key", "state", "since (UTC)", "here", "processes", "credentials"),
            [
                (
                    key["kind"],
                    key["id"],
                    key["state"],
                    (key["since"] or "")[:16].replace("T", " "),
                    {True: "yes", False: "no", None: "another key"}[key["here"]],
                    f"{key['held_by']} of {found['processes']}",
                    "" if key["credentials"] is None else str(key["credentials"]),
                )
                for key in found["keys"]
            ],
            empty="no key is in use: start a worker",
        )
    faults = [
        key["id"] for key in found["keys"] if key["state"] != "not needed" and not key["here"]
    ]
    if faults:
        raise CommandFailed(Exit.SETTINGS, f"needed, but not given here: {', '.join(faults)}")


async def _status(parts: Parts) -> dict[str, Any]:
    key_use = parts.catalog.key_use
    holders, stored = await key_use.holders(), await key_use.credentials_by_key()
    rings: dict[Kind, Ring] = {
        "credential": parts.catalog.cipher,
        "payload": parts.secrets.payload_ring(),
    }
    keys: list[dict[str, Any]] = []
    for kind in KINDS:
        used = await key_use.in_use(kind)
        held = rings[kind].check_values
        known = {key.key_id for key in used}
        keys += [
            _key(kind, key_id, check, "new", holders) | {"here": True}
            for key_id, check in held.items()
            if key_id not in known
        ]
        for place, key in enumerate(used):
            state = "in use" if place == 0 else "former"
            if not key_needed(key, used, stored):
                state = "not needed"
            here: bool | None = key.key_id in held
            if here and held[key.key_id] != key.check_value:
                here = None
            row = _key(kind, key.key_id, key.check_value, state, holders)
            keys.append(row | {"here": here, "since": key.since.isoformat()})
        for row in keys:
            if kind == "credential" == row["kind"]:
                row["credentials"] = stored.get(row["id"], 0)
    return {
        "processes": len(holders),
        "keys": keys,
        "payload_key_needed_days": PAYLOAD_KEY_NEEDED.days,
    }


def _key(kind: Kind, key_id: str, check: str, state: str, holders: list[Holder]) -> dict[str, Any]:
    return {
        "kind": kind,
        "id": key_id,
        "state": state,
        "since": None,
        "held_by": sum(holder.keys[kind].get(key_id) == check for holder in holders),
        "credentials": None,
        "setting": SETTING[kind],
    }
