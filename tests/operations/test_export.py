"""The record that outlives retention has every run once, however often it was broken off."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from destinations.customerio.simulator import Fault
from eventlog.export import Exported, export_logs, read_mark
from operations.event_redelivery import redeliver
from tests.integration.stack import Stack, waits
from tests.operations.many import all_ended, emit_many, visible
from tests.operations.processes import command


@pytest.fixture(autouse=True)
def lists_are_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test waits until they are; half a minute would be long."""
    monkeypatch.setattr("eventlog.export.LISTED_WITHIN", timedelta(0))


async def exported(stack: Stack, **options: object) -> list[Exported]:
    found = export_logs(
        stack.client,
        **{"ended_from": datetime.now(UTC) - timedelta(hours=3), "workspace": stack.workspace}
        | options,
    )
    return [one async for one in found]


async def test_every_ended_run_is_there_once_oldest_end_first(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventlog.export.MOST_AT_ONCE", 8)  # so that there are many windows
    await stack.rule()
    stack.sim.fail("identify", fault=Fault(status=400), nth=[1])
    handles = await emit_many(stack, (f"person-{number}" for number in range(25)))
    await all_ended(stack, handles.values())
    [failed] = [h for h in handles.values() if (await stack.log(h)).status == "failed"]
    await redeliver(stack.client, failed.id)
    await all_ended(stack, [failed])
    stack.sim.fail("identify", fault=Fault(status=503))
    under_way = await stack.emit()
    await stack.log_when(under_way, waits)
    await visible(stack, "ExecutionStatus != 'Running'", 26)

    found = await exported(stack)
    assert len(found) == len({one.mark for one in found}) == 26
    assert [one.mark for one in found] == sorted(one.mark for one in found)
    assert {one.event_id for one in found} == {handle.id for handle in handles.values()}
    of_failed = [one.log for one in found if one.event_id == failed.id]
    assert [log.status for log in of_failed if log] == ["failed", "completed"]
    assert of_failed[-1] == await stack.log(failed)
    await stack.client.get_workflow_handle(under_way.id).terminate()


async def test_it_goes_on_after_any_line(stack: Stack) -> None:
    await stack.rule()
    handles = await emit_many(stack, (f"person-{number}" for number in range(6)))
    await all_ended(stack, handles.values())
    await visible(stack, "ExecutionStatus = 'Completed'", 6)
    whole = [one.line() for one in await exported(stack)]
    for number, line in enumerate(whole):
        rest = await exported(stack, after=read_mark(line))
        assert [one.line() for one in rest] == whole[number + 1 :]


async def test_a_file_that_was_cut_off_is_completed(stack: Stack, tmp_path: Path) -> None:
    await stack.rule()
    handles = await emit_many(stack, (f"person-{number}" for number in range(4)))
    await all_ended(stack, handles.values())
    await visible(stack, "ExecutionStatus = 'Completed'", 4)
    lines = [one.line() for one in await exported(stack)]
    file = tmp_path / "log.jsonl"
    file.write_text("\n".join(lines[:2]) + "\n" + lines[2][:100])
    done = await command(stack, "export", "--output", str(file), "--workspace", stack.workspace)
    assert (done.code, file.read_text()) == (0, "\n".join(lines) + "\n")
    assert "2 runs exported" in done.err
    file.write_text("hello\n")
    refused = await command(stack, "export", "--output", str(file))
    assert refused.code == 4
    assert "not a line of an export" in refused.err


async def test_lines_hold_the_whole_log(stack: Stack) -> None:
    await stack.rule()
    handle = await stack.emit()
    await handle.result()
    await visible(stack, "ExecutionStatus = 'Completed'", 1)
    [one] = await exported(stack, ended_from=datetime.min.replace(tzinfo=UTC))
    fields = json.loads(one.line())
    assert fields["event_id"] == handle.id
    assert fields["log"] == (await stack.log(handle)).model_dump(mode="json")


@pytest.mark.parametrize("line", ["", "{}", "[]", "null", '{"closed_at": "x", "run_id": "y"}'])
def test_what_is_no_line_of_an_export_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not a line of an export"):
        read_mark(line)
