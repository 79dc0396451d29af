"""`emitonce keys …` as an operator runs it: refused too early, done when all have the key, told."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from temporalio.client import Client

from catalog.encryption.cipher import CredentialCipher
from catalog.encryption.keys_in_use import Rings
from emitonce.key_ring import KeyRing
from emitonce.published_keys import published_keys
from tests.cli.command import Ran
from tests.integration.stack import Stack, eventually
from tests.operations.processes import command
from tests.security.conftest import NEW_KEY, OLD_KEY
from tests.security.test_key_rotation import NEW_CREDENTIAL, OLD_CREDENTIAL, process

OLD = (OLD_KEY, OLD_CREDENTIAL)
BOTH = (NEW_KEY | OLD_KEY, NEW_CREDENTIAL | OLD_CREDENTIAL)


def written(keys: Mapping[str, bytes]) -> str:
    return ",".join(f"{id}:{base64.b64encode(key).decode()}" for id, key in keys.items())


async def emitonce(
    stack: Stack, keys: tuple[Mapping[str, bytes], Mapping[str, bytes]], *arguments: str
) -> Ran:
    payload_keys, credential_keys = keys
    return await command(
        stack,
        *arguments,
        EMITONCE_PAYLOAD_ENCRYPTION="true",
        EMITONCE_PAYLOAD_KEYS=written(payload_keys),
        EMITONCE_CREDENTIAL_KEYS=written(credential_keys),
    )


async def states(stack: Stack, keys: tuple[Mapping[str, bytes], Mapping[str, bytes]]) -> Any:
    shown = await emitonce(stack, keys, "keys", "status", "--json")
    assert shown.code == 0, shown.err
    return {(key["kind"], key["id"]): key["state"] for key in json.loads(shown.out)["keys"]}


@pytest.mark.slow
async def test_keys_are_rotated_once_every_process_has_them(
    sealed: Stack, temporal: Client
) -> None:
    await sealed.connection()
    async with process(sealed, temporal, *OLD):
        early = await emitonce(sealed, BOTH, "keys", "rotate")
        assert early.code == 4
        assert "'c2' can't be used yet: it has not reached worker (host " in early.err
        assert await states(sealed, BOTH) == {
            ("credential", "c2"): "new",
            ("credential", "k1"): "in use",
            ("payload", "k2"): "new",
            ("payload", "k1"): "in use",
        }
    async with process(sealed, temporal, *BOTH):
        done = await emitonce(sealed, BOTH, "keys", "rotate", "--json")
        assert done.code == 0, done.err
        assert json.loads(done.out) == {
            "in_use": {"credential": "c2", "payload": "k2"},
            "reencrypted": 1,
            "unreadable": [],
        }
        again = await emitonce(sealed, BOTH, "keys", "rotate", "--json")
        assert json.loads(again.out)["reencrypted"] == 0
        published = await published_keys(temporal, sealed.task_queue)
        assert [entry.partition(":")[0] for entry in published] == ["k2", "k1"]
    assert await states(sealed, BOTH) == {
        ("credential", "c2"): "in use",
        ("credential", "k1"): "not needed",
        ("payload", "k2"): "in use",
        ("payload", "k1"): "former",
    }


async def test_what_a_slow_process_still_encrypts_with_the_former_key_is_encrypted_again(
    sealed: Stack,
) -> None:
    keys, slow = sealed.catalog.keys_in_use, uuid.uuid4()
    cipher = CredentialCipher(BOTH[1])
    cipher.ring.use("k1")
    rings: Rings = {"credential": cipher.ring, "payload": KeyRing(OLD_KEY)}
    await keys.report(slow, "slow", rings)
    rotating = asyncio.create_task(
        emitonce(sealed, BOTH, "keys", "rotate", "--only", "credential", "--json")
    )

    async def put_to_use() -> bool:
        return (await keys.of("credential"))[0].key_id == "c2"

    await eventually(put_to_use)
    await sealed.connection()  # encrypted by the test's own catalog with k1
    cipher.ring.use("c2")
    await keys.report(slow, "slow", rings)
    done = await rotating
    assert done.code == 0, done.err
    assert json.loads(done.out)["reencrypted"] == 1


async def test_with_a_key_missing_commands_end_with_the_settings_code(
    sealed: Stack, temporal: Client
) -> None:
    async with process(sealed, temporal, *BOTH):
        pass
    for arguments in (("keys", "status"), ("workspaces", "list"), ("keys", "rotate")):
        ended = await emitonce(sealed, OLD, *arguments)
        assert ended.code == 6, ended.err
        assert "c2" in ended.err


async def test_a_new_key_is_good_for_the_settings(sealed: Stack) -> None:
    made = await emitonce(sealed, OLD, "keys", "generate", "--id", "k7")
    key_id, _, key = made.out.strip().partition(":")
    assert (key_id, len(base64.b64decode(key, validate=True))) == ("k7", 32)
    other = await emitonce(sealed, OLD, "keys", "generate")
    assert other.out != made.out
