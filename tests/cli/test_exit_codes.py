"""How a command ends tells a script what to do next."""

from __future__ import annotations

import uuid

import pytest

from tests.cli.command import CommandLine
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
    ],
)
async def test_an_error_has_its_code_and_names_the_thing(
    dev: Dev, arguments: tuple[str, ...], code: int, told: str
) -> None:
    ran = await dev.cli.run(*arguments)
    assert ran.code == code, ran.err
    assert told in ran.err
    assert "Traceback" not in ran.err


async def test_a_second_stack_on_the_same_data_is_refused(dev: Dev) -> None:
    ran = await dev.cli.run("dev", "--json")
    assert ran.code == 6
    assert "EMITONCE_DATA_DIR" in ran.err


async def test_a_taken_port_is_named_with_the_remedy(dev: Dev, tmp_path) -> None:
    taken = dev.ready["temporal"].rpartition(":")[2]
    ran = await CommandLine(tmp_path).run("dev", "--json", "--temporal-port", taken)
    assert ran.code == 6
    assert taken in ran.err


async def test_without_a_server_the_command_says_how_to_start_one(dev: Dev) -> None:
    ran = await dev.cli.run("events", "show", NOBODY, TEMPORAL_ADDRESS="127.0.0.1:9")
    assert ran.code == 5
    assert "emitonce dev" in ran.err


async def test_production_names_what_is_missing(tmp_path) -> None:
    ran = await CommandLine(tmp_path).run("worker", EMITONCE_ENV="production")
    assert ran.code == 6
    assert "EMITONCE_CREDENTIAL_KEYS" in ran.err
