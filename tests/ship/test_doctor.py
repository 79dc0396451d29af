"""`emitonce doctor` finds what is amiss and says what to do, in a process of its own."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Any

import pytest
from temporalio.client import Client

from catalog.api_key_rights import WIDEST, KeyRights
from catalog.traffic import Waiting
from catalog.worker_share import WorkerShare
from destinations.customerio.identity import NOT_AN_ADDRESS
from destinations.registry import FIRST_RELEASE, this_release
from tests.cli.command import Ran
from tests.conftest import database_url, on_server
from tests.console.identity import open_crooked_provider
from tests.integration.stack import SAMPLE, Stack, eventually, is_held, open_stack
from tests.operations import processes
from tests.operations.processes import command, environment_of


async def examined(stack: Stack, *, workers: bool = True) -> tuple[Ran, dict[str, Any]]:
    """With a worker that reports to the catalog, as those of the stack don't."""
    async with WorkerShare(stack.catalog.workers).kept() if workers else nullcontext():
        ended = await command(stack, "doctor", "--json")
    findings = json.loads(ended.out)["findings"]
    return ended, {finding["matter"]: finding for finding in findings}


async def test_a_stack_that_delivers_is_well(stack: Stack) -> None:
    ended, found = await examined(stack)
    assert ended.code == 0, ended.out
    for matter in (
        *("settings", "database", "migrations", "temporal", "retention", "workers"),
        *("task queue", "deliveries"),
    ):
        assert found[matter]["state"] == "ok", found[matter]
    assert found["alerts"]["state"] == "warning"
    assert found["search attributes"]["state"] == "ok"
    assert found["Customer.io us"]["state"] == "ok"


@pytest.mark.slow
async def test_without_a_worker_it_says_how_to_start_one_and_fails_while_events_wait(
    temporal: Client, database: str
) -> None:
    async with open_stack(temporal, database, working=False) as stack:
        ended, found = await examined(stack, workers=False)
        assert ended.code == 0, "nothing waits yet"
        assert found["workers"]["state"] == "warning"
        assert "emitonce worker" in found["workers"]["remedy"]
        await stack.emit()

        async def stuck() -> bool:
            ended, found = await examined(stack, workers=False)
            return (ended.code, found["workers"]["state"]) == (1, "error")

        await eventually(stuck, within=60)


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


async def test_a_schema_that_is_ahead_is_a_warning(stack: Stack) -> None:
    await stack.catalog.pool.execute(
        "INSERT INTO schema_migrations (name, checksum) VALUES ('9999_later.sql', 'x')"
    )
    ended, found = await examined(stack)
    assert ended.code == 0, ended.out
    assert found["migrations"]["state"] == "warning"
    assert "9999_later.sql" in found["migrations"]["said"]


async def test_secrets_are_counted_by_what_they_are(stack: Stack) -> None:
    await stack.rule()
    for name in ("ci", "laptop"):
        await stack.catalog.machine_keys.create(stack.organization, name=name, created_by="test")
    _, found = await examined(stack)
    said = found["credential keys"]["said"]
    assert said == "decrypt everything stored: connections (1), machine keys (2)"


async def test_wide_publishable_keys_are_a_warning_until_narrowed_or_kept_wide(
    stack: Stack,
) -> None:
    keys = stack.catalog.publishable_keys
    [first] = await keys.list(stack.organization)
    _, found = await examined(stack)
    assert found["publishable keys"]["state"] == "warning"
    assert f"{first.name} of Acme app" in found["publishable keys"]["said"]
    # Origins stop no script, so the key is as wide as before.
    await keys.set_rights(
        stack.organization, first.id, KeyRights.of(None, ["https://www.example.com"], None)
    )
    ended, found = await examined(stack)
    assert (ended.code, found["publishable keys"]["state"]) == (0, "warning")
    for rights, kept_wide in ((KeyRights.of(None, None, "anonymous"), False), (WIDEST, True)):
        await keys.set_rights(stack.organization, first.id, rights, kept_wide=kept_wide)
        _, found = await examined(stack)
        assert found["publishable keys"]["state"] == "ok"


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
    assert "connections with k1 (1)" in found["credential keys"]["said"]
    assert found["Customer.io eu"]["state"] == "warning"


async def test_rules_are_listed_whose_recent_events_the_newest_build_would_send_otherwise(
    stack: Stack,
) -> None:
    stack.fleet = FIRST_RELEASE
    connection = await stack.connection()
    padded = await stack.rule(connection, "padded")
    refused = await stack.rule(connection, "no.address")
    alike = await stack.rule(connection, "alike")
    for event, payload in (
        ("padded", {"userId": " usr_2048 "}),
        ("padded", {"userId": "usr_2048"}),
        ("no.address", {"userId": "usr_2048", "email": "none"}),
        ("alike", SAMPLE),
    ):
        await stack.ended(await stack.emit(event, payload))
    stack.fleet = this_release()
    newest = await stack.emit("alike", {"userId": " usr_2048 "})
    await stack.ended(newest)
    await stack.listed(5)
    async with WorkerShare(stack.catalog.workers).kept():
        ended = await command(stack, "doctor", "--json")
    assert ended.code == 0, ended.out
    said = [
        finding["said"]
        for finding in json.loads(ended.out)["findings"]
        if finding["matter"] == f"build {this_release().newest_build}"
    ]
    assert len(said) == 2
    [about_padded] = [text for text in said if padded.id in text]
    assert "would send 1 of 2 recent events differently: userId would differ" in about_padded
    [about_refused] = [text for text in said if refused.id in text]
    assert f"trait email would differ; {NOT_AN_ADDRESS}" in about_refused
    assert alike.id not in ended.out
    assert "usr_2048" not in ended.out


async def test_newest_build_that_changes_nothing_is_fine(stack: Stack) -> None:
    stack.fleet = FIRST_RELEASE
    await stack.rule()
    await stack.ended(await stack.emit())
    await stack.listed(1)
    _, found = await examined(stack)
    build = f"build {this_release().newest_build}"
    assert found[build]["state"] == "ok"
    assert "all 1 recent deliveries" in found[build]["said"]


async def test_a_provider_of_single_sign_on_is_asked_whether_it_is_the_one_that_is_named(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_crooked_provider() as provider:
        for changes, code, state, said in (
            ({}, 0, "ok", "answers"),
            ({"EMITONCE_OIDC_ISSUER": f"{provider.issuer}/"}, 0, "warning", "another name"),
            ({"EMITONCE_OIDC_ROLES": '{"support": "boss"}'}, 1, "error", "EMITONCE_OIDC_ROLES"),
        ):
            settings = environment_of(stack) | {
                "EMITONCE_OIDC_ISSUER": provider.issuer,
                "EMITONCE_OIDC_CLIENT_ID": "console",
                "EMITONCE_PUBLIC_URL": "http://127.0.0.1:8080",
                **changes,
            }
            monkeypatch.setattr(processes, "environment_of", lambda _, given=settings: given)
            ended, found = await examined(stack)
            about = found["single sign-on"]
            assert (ended.code, about["state"]) == (code, state), ended.out
            assert said in about["said"]


async def test_a_refused_key_with_events_waiting_is_an_error(stack: Stack) -> None:
    connection = await stack.connection("Newsletter", api_key="not-the-key")
    await stack.rule(connection)
    await stack.log_when(await stack.emit(), is_held)
    await stack.catalog.traffic.set_waiting({connection.id: Waiting(1)})
    ended, found = await examined(stack)
    assert ended.code == 1
    assert "refuses the key of “Newsletter”" in found["deliveries"]["said"]
