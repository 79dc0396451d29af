"""Runs recorded before are still understood: what they did is what today's code would do.

The histories are exported from real runs by `python -m tests.replay.record`. One written by hand
would pass whatever the code does: without the flags that the SDK's core leaves in it, replay does
not compare the types of activities.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.converter import DataConverter, WorkflowSerializationContext
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.workflow import NondeterminismError

from delivery.errors import MappingError
from delivery.message import Messages
from destinations.customerio.builds import BUILDS
from destinations.customerio.simulator import EU_KEY, US_KEY
from destinations.customerio.traits import collect_traits
from destinations.registry import build_messages
from emitonce.key_ring import KeyRing
from engine.data_converter import data_converter
from engine.replay import InputChanged, replay
from tests.integration.run_history import readable
from tests.replay.scenarios import WRONG_KEY
from worker import WORKFLOWS, make_interceptors
from workflows.delivery import ACTIVITIES

RECORDED = Path(__file__).parent / "histories"
HISTORIES = sorted(
    str(path.relative_to(RECORDED).with_suffix("")) for path in RECORDED.rglob("*.json")
)
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
# What does not depend on the build of a rule's messages.
NEEDED_ONCE = {
    "brought_forward",
    "event_properties",
    "failed_for_reasons",
    "found_by_person",
    "found_by_person_intricate",
    "large_event",
    "too_large_event",
    "webhook_sent",
    "slack_posted",
    "hubspot_updated",
    "resend_sent",
    "mailchimp_subscribed",
    "mailchimp_unsubscribed",
    "mailchimp_refused",
    "intercom_tagged",
    "resume_connection",
    "redelivered_in_bulk",
    "watch_deliveries",
    "watch_without_a_url",
    "send_alert",
}


def history(name: str) -> WorkflowHistory:
    text = (RECORDED / f"{name}.json").read_text()
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
    for build in BUILDS:
        recorded = {
            name.partition("/")[2] for name in HISTORIES if name.startswith(f"build_{build}/")
        }
        assert recorded >= NEEDED
    assert {name.partition("/")[2] for name in HISTORIES} >= NEEDED_ONCE


async def replayed(
    recorded: WorkflowHistory,
    runner: WorkflowRunner | None = None,
    converter: DataConverter | None = None,
) -> Exception | None:
    """What replaying it with its inputs compared says, as `emitonce replay` would."""

    async def histories() -> AsyncIterator[WorkflowHistory]:
        yield recorded

    [(_, failure)] = [
        result
        async for result in replay(
            histories(),
            workflows=WORKFLOWS,
            data_converter=converter or data_converter(),
            interceptors=make_interceptors(),
            runner=runner or SandboxedWorkflowRunner(),
        )
    ]
    return failure


@pytest.mark.parametrize("name", HISTORIES)
async def test_a_recorded_run_replays_and_gives_its_activities_the_recorded_inputs(
    name: str,
) -> None:
    assert await replayed(history(name)) is None


@pytest.fixture
def changed_trait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that adds a trait to what is sent."""

    def with_one_more(*arguments: Any, **options: Any) -> Any:
        traits, warnings = collect_traits(*arguments, **options)
        return {**traits, "test@example.com": True}, warnings

    monkeypatch.setattr("destinations.customerio.build.collect_traits", with_one_more)


@pytest.mark.usefixtures("changed_trait")
@pytest.mark.parametrize("build", [1, 2, 3])
@pytest.mark.parametrize("name", ["delivered", "held_and_resumed", "retried", "redelivered"])
async def test_a_changed_trait_in_a_build_is_caught(name: str, build: int) -> None:
    failure = await replayed(history(f"build_{build}/{name}"))
    assert isinstance(failure, InputChanged)
    assert "identify is given another message.body.traits." in str(failure)
    assert "make it a new build" in str(failure)
    assert "test@example.com" not in str(failure)


@pytest.mark.usefixtures("changed_trait")
async def test_a_changed_trait_is_caught_where_payloads_are_encrypted() -> None:
    converter = data_converter(KeyRing({"k1": b"1" * 32}))
    sealed = await _with_sealed_inputs(history("build_1/delivered"), converter)
    assert isinstance(await replayed(sealed, converter=converter), InputChanged)


async def test_a_guard_that_got_stricter_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was sent would now be a mapping error, and the run could not go on."""

    def refused(*_: Any, **__: Any) -> None:
        raise MappingError("event name", "is refused")

    monkeypatch.setattr("destinations.customerio.build.check_event_name", refused)
    assert isinstance(await replayed(history("build_1/delivered")), NondeterminismError)


async def test_a_value_that_is_no_longer_escaped_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("destinations.slack.build.escape", lambda value: value)
    failure = await replayed(history("build_2/slack_posted"))
    assert isinstance(failure, InputChanged)
    assert "send is given another message.body.text" in str(failure)


async def test_an_address_that_is_written_otherwise_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("destinations.hubspot.build.read_email", lambda value, vendor: str(value))
    failure = await replayed(history("build_2/hubspot_updated"))
    assert isinstance(failure, InputChanged)
    assert "identify is given another message.body.inputs" in str(failure)


async def test_a_property_that_is_no_longer_left_out_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("destinations.customerio.properties.RESERVED", frozenset())
    failure = await replayed(history("build_3/event_properties"))
    assert isinstance(failure, InputChanged)
    assert "track is given another message.body.properties" in str(failure)


async def test_a_status_that_would_be_another_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("destinations.mailchimp.build.read_email", lambda value, vendor: str(value))
    failure = await replayed(history("build_2/mailchimp_unsubscribed"))
    assert isinstance(failure, InputChanged)
    assert "identify is given another message.body.member" in str(failure)


async def test_an_event_s_time_in_another_unit_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("destinations.intercom.build.epoch_milliseconds", lambda _: 0)
    failure = await replayed(history("build_3/intercom_tagged"))
    assert isinstance(failure, InputChanged)
    assert "track is given another message.body.created_at" in str(failure)


async def test_traits_in_another_order_are_other_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    def reversed_traits(*arguments: Any, **options: Any) -> Any:
        traits, warnings = collect_traits(*arguments, **options)
        return dict(reversed(traits.items())), warnings

    monkeypatch.setattr("destinations.customerio.build.collect_traits", reversed_traits)
    failure = await replayed(history("build_1/delivered"))
    assert isinstance(failure, InputChanged)
    assert "another message.body.traits than" in str(failure)


async def _with_sealed_inputs(
    recorded: WorkflowHistory, converter: DataConverter
) -> WorkflowHistory:
    """What its activities were given, encrypted as a worker with keys does it."""
    bound = converter.with_context(
        WorkflowSerializationContext(namespace="default", workflow_id=recorded.workflow_id)
    )
    assert bound.payload_codec is not None
    for event in recorded.events:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            given = event.activity_task_scheduled_event_attributes.input
            await bound.payload_codec.encode_wrapper(given)
            assert b"test@example.com" not in given.SerializeToString()
    return recorded


@pytest.mark.parametrize("name", ["delivered", "retried", "identify_failed", "redelivered"])
async def test_with_identify_and_track_swapped_it_does_not(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def swapped(event: Any, rule: Any) -> Messages:
        messages = build_messages(event, rule)
        return messages.model_copy(update={"messages": messages.messages[::-1]})

    monkeypatch.setattr("workflows.delivery.build_messages", swapped)
    with pytest.raises(NondeterminismError):
        await replayer(UnsandboxedWorkflowRunner()).replay_workflow(history(f"build_1/{name}"))


async def test_with_a_step_of_another_type_under_the_same_id_it_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(ACTIVITIES, "identify", ACTIVITIES["track"])
    with pytest.raises(NondeterminismError):
        await replayer(UnsandboxedWorkflowRunner()).replay_workflow(history("build_1/delivered"))


@pytest.mark.parametrize("name", HISTORIES)
def test_a_recorded_run_carries_the_core_s_flags(name: str) -> None:
    """Without them the two tests above would pass falsely."""
    flags = {
        flag
        for event in history(name).events
        for flag in event.workflow_task_completed_event_attributes.sdk_metadata.core_used_flags
    }
    assert flags >= {1, 2}


@pytest.mark.parametrize("name", HISTORIES)
def test_a_recorded_run_holds_sample_data_alone(name: str) -> None:
    text = readable(history(name))
    assert not [secret for secret in (US_KEY, EU_KEY, WRONG_KEY, "Authorization") if secret in text]
    assert set(re.findall(r"(?<![\w.+-])[\w.+-]+@[\w-]+\.[\w.]+", text)) <= {"test@example.com"}
    identities = set(re.findall(r'"identity": "([^"]*)"', text))
    assert identities <= {"recorder", "history-service"}
