"""A command means the workspace in use, and finds things by their names where they have one."""

from __future__ import annotations

import pytest

from tests.cli.command import InProcess, running_dev
from tests.cli.conftest import Dev

PAYLOAD = ("--payload", '{"userId": "usr_1"}')


@pytest.fixture
async def free(dev: Dev):
    """No workspace is in use, before and afterwards."""
    await dev.cli.json("use", "--none")
    yield
    await dev.cli.json("use", "--none")


async def test_without_a_choice_among_several_workspaces_a_command_lists_them(
    dev: Dev, free: None
) -> None:
    one, other = await dev.workspace("Context one"), await dev.workspace("Context other")
    ran = await dev.cli.run("events", "list")
    assert ran.code == 2
    assert all(told in ran.err for told in ("emitonce use", "EMITONCE_WORKSPACE", one, other))


@pytest.mark.slow
async def test_the_only_workspace_is_the_default(tmp_path_factory) -> None:
    data_dir = tmp_path_factory.mktemp("only")
    cli = InProcess(data_dir)
    async with running_dev(data_dir):
        assert "workspaces create" in (await cli.run("events", "list")).err
        made = await cli.json("workspaces", "create", "--name", "Only one")
        accepted = await cli.json("emit", "--event", "user.signup", *PAYLOAD)
        assert accepted["event"]["workspace"] == made["workspace"]["id"]


async def test_what_is_in_use_is_the_default_and_an_option_goes_before_it(
    dev: Dev, free: None
) -> None:
    one, other = await dev.workspace("In use one"), await dev.workspace("In use other")
    assert (await dev.cli.json("use", "In use one"))["workspace"]["id"] == one
    assert (await dev.cli.json("use"))["workspace"]["id"] == one
    emit = ("emit", "--event", "user.signup", *PAYLOAD)
    assert (await dev.cli.json(*emit))["event"]["workspace"] == one
    by_variable = await dev.cli.run(*emit, "--json", EMITONCE_WORKSPACE="In use other")
    assert by_variable.json["event"]["workspace"] == other
    by_option = await dev.cli.run(
        *emit, "--json", "--workspace", "In use one", EMITONCE_WORKSPACE=other
    )
    assert by_option.json["event"]["workspace"] == one
    await dev.cli.json("workspaces", "rename", "In use one", "In use renamed")
    assert (await dev.cli.json("use"))["workspace"]["name"] == "In use renamed"
    stale = await dev.cli.run("events", "list", EMITONCE_WORKSPACE="Gone")
    assert (stale.code, "EMITONCE_WORKSPACE" in stale.err) == (3, True)


async def test_a_name_stands_for_an_id_unless_several_bear_it(dev: Dev, free: None) -> None:
    one, other = await dev.workspace("Names one"), await dev.workspace("Names other")
    first, second = await dev.connection(one), await dev.connection(other)
    shown = await dev.cli.json("connections", "list", "--workspace", "Names one")
    assert [record["id"] for record in shown["records"]] == [first]

    twice = await dev.cli.run("connections", "show", "Customer io")
    assert twice.code == 4
    assert first in twice.err
    assert second in twice.err
    await dev.cli.json("use", "Names other")
    assert (await dev.cli.json("connections", "show", "Customer io"))["id"] == second
    assert (await dev.cli.json("connections", "show", first))["id"] == first
    unknown = await dev.cli.run("connections", "show", "Customer")
    assert (unknown.code, "Customer io" in unknown.err) == (3, True)

    rule = await dev.rule(other, "Customer io")
    assert (await dev.cli.json("rules", "show", "user.signup"))["id"] == rule
    another = await dev.rule(other, "Customer io", "--resource", "app")
    several = await dev.cli.run("rules", "disable", "user.signup")
    assert several.code == 4
    assert rule in several.err
    assert another in several.err


async def test_the_audit_has_the_id_of_what_was_named(dev: Dev, free: None) -> None:
    workspace = await dev.workspace("Names audited")
    connection = await dev.connection(workspace)
    await dev.cli.json("use", workspace)
    await dev.cli.json("connections", "pause", "Customer io")
    listed = await dev.cli.json("audit", "list")
    [act] = [one for one in listed["records"] if one["ids"].get("connection") == connection]
    assert act["act"] == "pause_connection"
