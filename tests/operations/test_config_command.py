"""A file makes a workspace as it says, all of it or nothing, and undoes nobody's work unasked."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from catalog.audit import DONE
from catalog.rule_change import RuleChange
from delivery.mapping_schema import MappedField, MappingSchema, PathSource
from tests.integration.stack import Stack
from tests.operations.processes import command

BY_PATH = MappingSchema(
    fields=(MappedField(dest="userId", source=PathSource(type="path", value="user.id")),)
)


async def exported(stack: Stack, tmp_path: Path) -> Path:
    ended = await command(stack, "config", "export", "--workspace", stack.workspace)
    assert ended.code == 0, ended.err
    file = tmp_path / "emitonce.yaml"
    file.write_text(ended.out)
    return file


async def applied(stack: Stack, file: Path, *more: str) -> list[tuple[str, str, str]]:
    ended = await command(stack, "config", "apply", str(file), "--json", *more)
    assert ended.code == 0, ended.err
    answer = json.loads(ended.out)
    return [(one["change"], one["kind"], one["name"]) for one in answer["changes"]]


async def all_rules(stack: Stack) -> list[tuple[str, str | None, bool]]:
    page = await stack.catalog.rules.list(stack.organization, workspace=stack.workspace)
    return sorted((rule.event, rule.resource, rule.active) for rule in page.records)


async def test_what_is_exported_applies_as_no_change_and_an_edit_only_once(
    stack: Stack, tmp_path: Path
) -> None:
    connection = await stack.connection()
    await stack.catalog.mappings.put_default(stack.organization, connection.id, schema=BY_PATH)
    kept = await stack.rule(connection, override="Signed Up", on_limit="drop")
    other = await stack.rule(connection, "order.paid", resource="app")
    await stack.catalog.rules.set_active(stack.organization, other.id, False)
    file = await exported(stack, tmp_path)
    assert "sim-us-key" not in file.read_text()
    assert await applied(stack, file) == []

    text = file.read_text()
    edited = text.replace("event_name_override: Signed Up", "event_name_override: Joined")
    edited = edited.replace("region: us", "region: eu")
    edited += (
        "  - connection: Customer io\n    event: no\n    metadata:\n      action: track_event\n"
    )
    file.write_text(edited)
    expected = [
        ("update", "connection", "Customer io"),
        ("update", "rule", "user.signup → Customer io"),
        ("create", "rule", "no → Customer io"),
    ]
    assert await applied(stack, file, "--dry-run") == expected
    unchanged = await stack.catalog.rules.get(stack.organization, kept.id)
    assert unchanged == kept
    assert file.read_text() == edited

    assert await applied(stack, file) == expected
    changed = await stack.catalog.rules.get(stack.organization, kept.id)
    assert changed.metadata["event_name_override"] == "Joined"
    renewed = await stack.catalog.connections.get(stack.organization, connection.id)
    assert (dict(renewed.settings), renewed.credential_version) == ({"region": "eu"}, 2)
    assert await all_rules(stack) == [
        ("no", None, True),
        ("order.paid", "app", False),
        ("user.signup", None, True),
    ]
    assert await applied(stack, file) == []  # and the file has the new revision:
    file.write_text(file.read_text().replace("Joined", "Joined again"))
    assert await applied(stack, file) == [("update", "rule", "user.signup → Customer io")]
    acts = (await stack.catalog.audit.list(stack.organization)).records
    recorded = [one for one in acts if one.act.name == "apply_configuration"]
    assert {one.outcome for one in recorded} == {DONE}
    assert kept.id in recorded[0].act.ids.values()


@pytest.mark.slow
async def test_what_is_applied_while_temporal_is_unavailable_is_said_to_be_applied(
    stack: Stack, tmp_path: Path
) -> None:
    connection = await stack.connection()
    file = await exported(stack, tmp_path)
    file.write_text(file.read_text().replace("region: us", "region: eu"))
    ended = await command(stack, "config", "apply", str(file), TEMPORAL_ADDRESS="127.0.0.1:9")
    assert ended.code == 0, ended.err
    assert "deliveries that were held continue within an hour" in ended.err
    changed = await stack.catalog.connections.get(stack.organization, connection.id)
    assert dict(changed.settings) == {"region": "eu"}
    [act] = (await stack.catalog.audit.list(stack.organization)).records
    assert (act.act.name, act.outcome) == ("apply_configuration", DONE)
    assert connection.id in act.act.ids.values()
    assert await applied(stack, file) == []  # with the revision that it has now


def aliased(*levels: str) -> str:
    """A file of some hundred characters, whose aliases stand for a tenfold with each level."""
    text = (
        "emitonce: 1\nworkspaces:\n- name: W\n  rules:\n  - {connection: c, event: e, metadata: {"
    )
    text += f"action: track_event, {levels[0]}: &{levels[0]} [x]"
    for before, level in pairwise(levels):
        text += f", {level}: &{level} [{','.join([f'*{before}'] * 10)}]"
    return text + "}}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (aliased(*"abcdefghijkl"), "alias"),
        ("emitonce: 1\nworkspaces: &all [*all]\n", "alias"),
        ("[" * 2_000, "nested too deeply"),
        ("emitonce: 1\nworkspaces: [{name: 2026-13-45}]\n", "is not YAML"),
    ],
    ids=["aliases of aliases", "holds itself", "nested", "no date"],
)
async def test_a_file_that_stands_for_too_much_is_refused_before_it_is_applied(
    stack: Stack, tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "emitonce.yaml"
    file.write_text(text)
    ended = await command(stack, "config", "apply", str(file))
    assert ended.code == 2
    assert said in " ".join(ended.err.replace("│", " ").split())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("emitonce: 1\ntoken: hush-hush\ntoken: hush-again\n", "a key twice: look at line 3"),
        ('emitonce: 1\ntoken: "hush-hush\n', "is not YAML: look at line"),
        ("emitonce: 1\ntoken: *hush-hush\n", "is not YAML: look at line 2, column 8"),
        ("emitonce: 1\ntoken: !!int hush-hush\n", "is not YAML"),
    ],
    ids=["a key twice", "an open quote", "no anchor", "no number"],
)
async def test_what_a_file_that_is_not_yaml_holds_is_not_repeated(
    stack: Stack, tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "emitonce.yaml"
    file.write_text(text)
    ended = await command(stack, "config", "apply", str(file))
    told = " ".join(ended.err.replace("│", " ").split())
    assert (ended.code, said in told, "hush" in ended.out + ended.err) == (2, True, False), told


async def test_a_file_that_would_undo_others_work_is_refused_and_changes_nothing(
    stack: Stack, tmp_path: Path
) -> None:
    connection = await stack.connection()
    rule = await stack.rule(connection, override="Signed Up")
    file = await exported(stack, tmp_path)
    text = file.read_text()

    async def refused(told: str, *more: str) -> None:
        before = await all_rules(stack)
        ended = await command(stack, "config", "apply", str(file), *more)
        assert ended.code in (3, 4), ended.err
        assert told in ended.err
        assert "Traceback" not in ended.err
        assert await all_rules(stack) == before

    foreign = "  - connection: Another one\n    event: x\n    metadata: {action: track_event}\n"
    file.write_text(text + foreign)
    await refused("Another one")
    full = "  - connection: Customer io\n    event: x\n    metadata: {action: nothing}\n"
    good = "  - connection: Customer io\n    event: good\n    metadata: {action: track_event}\n"
    file.write_text(text + good + full)
    await refused("metadata.action")

    await stack.catalog.rules.update(stack.organization, rule.id, RuleChange(event="user.joined"))
    file.write_text(text)
    await refused("stale")
    file.write_text("".join(line for line in text.splitlines(True) if "revision" not in line))
    await refused("--delete-rules")
    replaced = [
        ("delete", "rule", "user.joined → Customer io"),
        ("create", "rule", "user.signup → Customer io"),
    ]
    assert await applied(stack, file, "--dry-run") == replaced
    assert await applied(stack, file, "--delete-rules") == replaced
    assert await all_rules(stack) == [("user.signup", None, True)]
