"""`emitonce keys generate`, `rotate`, `status`: the keys that encrypt, and how they are replaced.

A key is replaced in two steps, so that what one process encrypts every other can decrypt:

1. `emitonce keys generate` makes a key. Put it before the current one, in
   EMITONCE_CREDENTIAL_KEYS or EMITONCE_PAYLOAD_KEYS of every process, and restart them one after
   the other. They continue to encrypt with the current key.
2. `emitonce keys rotate`, with the same settings, puts it to use, which is refused while a running
   process lacks it, and then encrypts the stored credentials again. It can be interrupted and
   run again.

`emitonce keys status` says when the previous key is no longer needed.
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

from catalog.encryption.keys_in_use import KINDS, PAYLOAD_KEY_NEEDED, SETTING, Kind, Rings
from catalog.encryption.stored_secrets import StoredSecrets
from emitonce.key_ring import KEY_BYTES
from operations.key_watch import publish_payload_keys
from starter.cli.dependencies import Dependencies, open_dependencies, recorded, with_dependencies
from starter.cli.errors import CommandFailed, Exit
from starter.cli.output import Json, console, print_answer, print_json, print_table, say

# Processes hear at once of a key that is put to use, and look every 10 seconds in any case.
LONGEST_WAIT = 30.0


def generate(
    key_id: Annotated[
        str | None, typer.Option("--id", help="Default: k, today's date and four random digits.")
    ] = None,
) -> None:
    """Print a new key, in the form for EMITONCE_CREDENTIAL_KEYS and EMITONCE_PAYLOAD_KEYS.

    Keys are secrets: send the output to a secret store, not into a terminal's history.
    """
    key_id = key_id or f"k{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(2)}"
    key = base64.b64encode(os.urandom(KEY_BYTES)).decode()
    console.print(f"{key_id}:{key}", markup=False, soft_wrap=True)


def rotate(
    only: Annotated[Kind | None, typer.Option(help="Default: both.")] = None,
    as_json: Json = False,
) -> None:
    """Use the newest keys once every process has them, and encrypt stored credentials again."""
    wanted = [each for each in KINDS if only in (None, each)]
    done = _rotate(wanted)
    words = [f"{each} key in use: {done['in_use'][each]}" for each in wanted]
    words.append(f"credentials encrypted again: {done['reencrypted']}")
    print_answer(done, "\n".join(words), as_json=as_json)
    if done["unreadable"]:
        raise CommandFailed(
            Exit.BAD,
            "none of the keys decrypts these; replace their secrets: "
            + ", ".join(done["unreadable"]),
        )


@with_dependencies
@recorded("rotate_keys")
async def _rotate(parts: Dependencies, kinds: list[Kind]) -> dict[str, Any]:
    client, rings = await parts.temporal(), _rings(parts)
    done: dict[str, Any] = {"in_use": {}, "reencrypted": 0, "unreadable": []}
    for kind in kinds:
        check_values = rings[kind].check_values
        newest = done["in_use"][kind] = next(iter(check_values), None)
        if newest is None:
            continue
        if await parts.catalog.keys_in_use.put_to_use(kind, newest, check_values[newest]):
            say(f"put the {kind} key {newest} to use")
        await _used_everywhere(parts, kind, newest)
    await publish_payload_keys(client, parts.catalog, parts.settings.task_queue)
    if "credential" in kinds:
        await parts.catalog.keys_in_use.settle({"credential": rings["credential"]})
        async for batch in StoredSecrets(parts.catalog.pool).reencrypt(parts.catalog.cipher):
            done["reencrypted"] += batch.done
            done["unreadable"] += batch.unreadable
            say(f"credentials encrypted again: {done['reencrypted']}")
    return done


def _rings(parts: Dependencies) -> Rings:
    return {"credential": parts.catalog.cipher.ring, "payload": parts.secrets.payload_ring()}


async def _used_everywhere(parts: Dependencies, kind: Kind, key_id: str) -> None:
    """Wait until no process encrypts with the previous key, so that none is left on it afterwards.

    A process that takes longer is named; running the command again makes up for it.
    """
    deadline = time.monotonic() + LONGEST_WAIT
    while True:
        holders = await parts.catalog.keys_in_use.holders()
        late = [one for one in holders if one.encrypts_with[kind] not in (None, key_id)]
        if not late:
            return
        if time.monotonic() > deadline:
            say(f"still using the previous {kind} key: {', '.join(map(str, late))}")
            return
        await asyncio.sleep(0.2)


def status(as_json: Json = False) -> None:
    """Show which keys are in use, which processes have them, and which are no longer needed."""
    found = asyncio.run(_status())
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
    missing = [
        key["id"] for key in found["keys"] if key["state"] != "not needed" and not key["here"]
    ]
    if missing:
        raise CommandFailed(Exit.SETTINGS, f"needed, but missing here: {', '.join(missing)}")


async def _status() -> dict[str, Any]:
    async with open_dependencies(check_keys=False) as parts:
        rings = _rings(parts)
        holders = await parts.catalog.keys_in_use.holders()
        stored = await StoredSecrets(parts.catalog.pool).by_key()
        used_keys = {kind: await parts.catalog.keys_in_use.of(kind) for kind in rings}
    keys: list[dict[str, Any]] = []
    for kind, ring in rings.items():
        used = used_keys[kind]
        new = ring.check_values.keys() - {key.key_id for key in used}
        listed = [
            *((id, check, "new", None) for id, check in ring.check_values.items() if id in new),
            *((key.key_id, key.check_value, key.state, key.since.isoformat()) for key in used),
        ]
        for id, check, state, since in listed:
            here = ring.check_values.get(id)
            credentials = stored[id].total() if id in stored else 0
            keys.append(
                {
                    "kind": kind,
                    "id": id,
                    "state": state,
                    "since": since,
                    "here": None if here not in (None, check) else here is not None,
                    "held_by": sum(one.keys[kind].get(id) == check for one in holders),
                    "credentials": credentials if kind == "credential" else None,
                    "setting": SETTING[kind],
                }
            )
    return {
        "processes": len(holders),
        "keys": keys,
        "payload_key_needed_days": PAYLOAD_KEY_NEEDED.days,
    }
