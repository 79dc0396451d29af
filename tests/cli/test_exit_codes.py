"""How a command ends tells a script what to do next."""

from __future__ import annotations

import uuid

import pytest

from tests.cli.command import CommandLine, InProcess
from tests.cli.conftest import Dev

NOBODY = str(uuid.UUID(int=7))


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("events", "show", NOBODY), 3, "past its retention"),
        (("events", "list", "--workspace", NOBODY), 3, "workspace"),
        (("workspaces", "create", "--name", "x"), 4, "3 to 50"),
        (("connections", "update", NOBODY), 2, "--api-key"),
        (("rules", "preview", NOBODY, "--payload", '{"a": NaN}'), 2, "NaN"),
        (("rules", "preview", NOBODY, "--payload", "no-such-file.json"), 2, "no-such-file.json"),
        (("emit", "--workspace", NOBODY, "--event", "x"), 2, "--payload"),
        (("emit", "--workspace", NOBODY, "--event", "x", "--payload", ""), 2, "is empty"),
        (("emit", "--workspace", NOBODY, "--event", "x", "--payload", "{}"), 3, "workspace"),
        (("emit", "--workspace", "acme", "--event", "x", "--payload", "{}"), 3, "workspace"),
    ],
)
async def test_an_error_has_its_code_and_names_the_thing(
    dev: Dev, arguments: tuple[str, ...], code: int, told: str
) -> None:
    ran = await dev.cli.run(*arguments)
    assert ran.code == code, ran.err
    assert told in ran.err
    assert "Traceback" not in ran.err


async def test_emit_refuses_at_once_what_can_not_be_read(dev: Dev) -> None:
    workspace = await dev.workspace("Refusals")
    emit = ("emit", "--workspace", workspace, "--payload", "{}", "--event")
    for more, told in (
        ((" ",), "event: must not be blank"),
        (("x" * 101,), "event: is 101 bytes long, limit 100"),
        (("test@example.com",), "event: holds an e-mail address"),
        (("x", "--timestamp", "yesterday"), "timestamp: is not an ISO 8601 time"),
        (("x", "--resource-id", ""), "resource_id: must not be blank"),
        (("x", "--idempotency-key", ""), "idempotency_key: "),
    ):
        ran = await dev.cli.run(*emit, *more)
        assert ran.code == 4, (more, ran.err)
        assert told in ran.err
        assert "Traceback" not in ran.err
    assert (await dev.cli.json("events", "list", "--workspace", workspace))["count"] == 0


async def test_a_namespace_that_is_not_there_is_the_settings_fault(dev: Dev) -> None:
    workspace = await dev.workspace("Elsewhere")
    emit = ("emit", "--workspace", workspace, "--event", "x", "--payload", "{}")
    ran = await dev.cli.run(*emit, TEMPORAL_NAMESPACE="nowhere")
    assert ran.code == 6, ran.err
    assert "nowhere is not found" in ran.err


@pytest.mark.slow
async def test_a_second_stack_on_the_same_data_is_refused(dev: Dev) -> None:
    ran = await CommandLine(dev.cli.data_dir).run("dev", "--json")
    assert ran.code == 6
    assert "EMITONCE_DATA_DIR" in ran.err


@pytest.mark.slow
async def test_a_taken_port_is_named_with_the_remedy(dev: Dev, tmp_path) -> None:
    taken = dev.ready["temporal"].rpartition(":")[2]
    ran = await CommandLine(tmp_path).run("dev", "--json", "--temporal-port", taken)
    assert ran.code == 6
    assert taken in ran.err


@pytest.mark.slow
async def test_without_a_server_the_command_says_how_to_start_one(dev: Dev) -> None:
    ran = await dev.cli.run("events", "show", NOBODY, TEMPORAL_ADDRESS="127.0.0.1:9")
    assert ran.code == 5
    assert "emitonce dev" in ran.err


async def test_production_names_what_is_missing(tmp_path) -> None:
    ran = await InProcess(tmp_path).run("worker", EMITONCE_ENV="production")
    assert ran.code == 6
    assert "EMITONCE_CREDENTIAL_KEYS" in ran.err


@pytest.mark.slow
async def test_resume_without_temporal_changes_the_connection_and_says_who_waits(dev: Dev) -> None:
    workspace = await dev.workspace("Resumed")
    made = await dev.connection(workspace)
    await dev.cli.run("connections", "pause", made)
    ran = await dev.cli.run("connections", "resume", made, TEMPORAL_ADDRESS="127.0.0.1:1")
    assert ran.code == 0, ran.err
    assert "within an hour" in ran.err
    [listed] = (await dev.cli.json("connections", "list", "--workspace", workspace))["records"]
    assert listed["status"] == "active"
