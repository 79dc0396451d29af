"""`emitonce doctor` finds what is amiss and says what to do, in a process of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from temporalio.client import Client

from tests.conftest import database_url, on_server
from tests.integration.stack import Stack, open_stack
from tests.operations import processes
from tests.operations.processes import Ended, command, environment_of


async def examined(stack: Stack) -> tuple[Ended, dict[str, Any]]:
    ended = await command(stack, "doctor", "--json")
    findings = json.loads(ended.out)["findings"]
    return ended, {finding["matter"]: finding for finding in findings}


async def test_a_stack_that_delivers_is_well(stack: Stack) -> None:
    ended, found = await examined(stack)
    assert ended.code == 0, ended.out
    for matter in ("settings", "database", "migrations", "temporal", "retention", "workers"):
        assert found[matter]["state"] == "ok", found[matter]
    assert found["search attributes"]["state"] == "ok"
    assert found["Customer.io us"]["state"] == "ok"


async def test_without_a_worker_it_says_how_to_start_one(temporal: Client, database: str) -> None:
    async with open_stack(temporal, database, working=False) as stack:
        ended, found = await examined(stack)
        assert ended.code == 1
        assert found["workers"]["state"] == "error"
        assert "emitonce worker" in found["workers"]["remedy"]


async def test_a_schema_that_is_behind_is_told_with_the_command(stack: Stack) -> None:
    await on_server(stack.database, "CREATE DATABASE bare_of_everything")
    bare = database_url(stack.database, "bare_of_everything")
    try:
        stack.database, kept = bare, stack.database
        ended, found = await examined(stack)
        assert ended.code == 1
        assert found["migrations"]["remedy"] == "emitonce migrate"
        stack.database = kept
    finally:
        await on_server(stack.database, "DROP DATABASE bare_of_everything WITH (FORCE)")


async def test_keys_that_nothing_here_decrypts_are_told(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stack.rule()
    settings = environment_of(stack)
    _, _, key = settings["EMITONCE_CREDENTIAL_KEYS"].partition(":")
    settings |= {
        "EMITONCE_CREDENTIAL_KEYS": f"k9:{key}",
        # Nobody is there, which is no error: a region may be one that nobody uses.
        "EMITONCE_CUSTOMERIO_URL_EU": "http://127.0.0.1:9/v1",
    }
    monkeypatch.setattr(processes, "environment_of", lambda _: settings)
    ended, found = await examined(stack)
    assert ended.code == 1
    assert "k1 (1)" in found["credential keys"]["said"]
    assert found["Customer.io eu"]["state"] == "warning"
