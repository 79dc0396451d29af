"""Runs recorded before are still understood: what they did is what today's code would do.

The histories are exported from real runs by `python -m tests.replay.record`. One written by hand
would pass whatever the code does: without the flags that the SDK's core leaves in it, replay does
not compare the types of activities.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.workflow import NondeterminismError

from activities.identify import Identify
from activities.track import Track
from delivery.build_messages import build_messages
from delivery.message import MessagePair
from destinations.customerio.simulator import EU_KEY, US_KEY
from engine.converter import data_converter
from tests.integration.run_history import readable
from tests.replay.scenarios import WRONG_KEY
from worker import WORKFLOWS, make_interceptors

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))
NEEDED = {
    "canceled",
    "delivered",
    "held_and_resumed",
    "identify_failed",
    "mapping_error",
    "no_rule",
    "redelivered",
    "catalog_away",
    "retried",
    "two_rules_of_which_one_failed",
}


def history(name: str) -> WorkflowHistory:
    text = (Path(__file__).parent / "histories" / f"{name}.json").read_text()
    return WorkflowHistory.from_json(_workflow_id(text), text)


def _workflow_id(text: str) -> str:
    """Part of a run, since an event's id is its workflow's; a history says it at its start."""
    started = json.loads(text)["events"][0]["workflowExecutionStartedEventAttributes"]
    return str(started["workflowId"])


def replayer(runner: WorkflowRunner | None = None) -> Replayer:
    """As a worker is made: with its workflows, converter and interceptors."""
    return Replayer(
        workflows=WORKFLOWS,
        data_converter=data_converter(),
        interceptors=make_interceptors(),
        workflow_runner=runner or SandboxedWorkflowRunner(),
    )


def test_every_ending_is_recorded() -> None:
    assert {path.stem for path in HISTORIES} >= NEEDED


@pytest.mark.parametrize("name", [path.stem for path in HISTORIES])
async def test_a_recorded_run_replays(name: str) -> None:
    await replayer().replay_workflow(history(name))


@pytest.mark.parametrize("name", ["delivered", "retried", "identify_failed", "redelivered"])
async def test_with_identify_and_track_swapped_it_does_not(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def swapped(event: Any, rule: Any) -> MessagePair:
        pair = build_messages(event, rule)
        return MessagePair(identify=pair.track, track=pair.identify, warnings=pair.warnings)

    monkeypatch.setattr("workflows.delivery.build_messages", swapped)
    monkeypatch.setattr("workflows.delivery.Identify", SimpleNamespace(identify=Track.track))
    monkeypatch.setattr("workflows.delivery.Track", SimpleNamespace(track=Identify.identify))
    with pytest.raises(NondeterminismError):
        await replayer(UnsandboxedWorkflowRunner()).replay_workflow(history(name))


async def test_with_a_step_of_another_type_under_the_same_id_it_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workflows.delivery.Identify", SimpleNamespace(identify=Track.track))
    with pytest.raises(NondeterminismError):
        await replayer(UnsandboxedWorkflowRunner()).replay_workflow(history("delivered"))


@pytest.mark.parametrize("name", [path.stem for path in HISTORIES])
def test_a_recorded_run_carries_the_core_s_flags(name: str) -> None:
    """Without them the two tests above would pass falsely."""
    flags = {
        flag
        for event in history(name).events
        for flag in event.workflow_task_completed_event_attributes.sdk_metadata.core_used_flags
    }
    assert flags >= {1, 2}


@pytest.mark.parametrize("name", [path.stem for path in HISTORIES])
def test_a_recorded_run_holds_sample_data_alone(name: str) -> None:
    text = readable(history(name))
    assert not [secret for secret in (US_KEY, EU_KEY, WRONG_KEY, "Authorization") if secret in text]
    assert set(re.findall(r"[\w.+-]+@[\w-]+\.[\w.]+", text)) <= {"test@example.com"}
    identities = set(re.findall(r'"identity": "([^"]*)"', text))
    assert identities <= {"recorder", "history-service"}
