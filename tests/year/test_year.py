"""Whatever a year brings, every delivery keeps its promises; and broken code is found out."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest

import activities.sender
import workflows.delivery
from activities.sender import Sender
from delivery.attempt import AttemptList
from delivery.message import Messages
from delivery.outcome import Outcome, Then, retry_delay
from delivery.step import Carried, StepResult
from tests.year.run import live
from workflows.delivery import Delivery, StepFailed

SEED = 20_261_124
DELIVERIES = 20_000
ENOUGH = 600
"""Deliveries in which each mutant below does its harm."""


@pytest.mark.slow
@pytest.mark.timeout(600)  # some 15 s on a free core
def test_no_delivery_of_a_year_breaks_a_promise() -> None:
    year = live(DELIVERIES, seed=SEED)
    assert year.broken == []
    assert year.deliveries == sum(year.ended.values()) == DELIVERIES
    # The year was a hard one, or this proves nothing.
    assert min(year.lost, year.holds, year.ended["failed"]) > DELIVERIES / 50


def gives_up_at_once(real: Any) -> Any:
    async def request(self: Sender, *parts: Any) -> Outcome:
        judged: Outcome = await real(self, *parts)
        return replace(judged, then=Then.STOP) if judged.then is Then.RETRY else judged

    return request


def goes_on_after_failure_of(call: str) -> Callable[[Any], Any]:
    def mutate(real: Any) -> Any:
        async def step(self: Delivery, message: Any) -> StepResult:
            try:
                return await real(self, message)
            except StepFailed as err:
                if err.call == call:
                    return err.result
                raise

        return step

    return mutate


def never_stops(real: Any) -> Any:
    def init(self: Delivery, *parts: Any) -> None:
        real(self, *parts)
        self._deadline += timedelta(hours=72)

    return init


def swaps(real: Any) -> Any:
    def build(event: Any, rule: Any) -> Messages:
        pair = real(event, rule)
        return pair.model_copy(update={"messages": pair.messages[::-1]})

    return build


def names_each_attempt_anew(real: Any) -> Any:
    async def request(self: Sender, step: Any, *parts: Any) -> Outcome:
        number = activities.sender.activity.info().attempt
        body = step.message.body | {"messageId": f"{step.message.body['messageId']}-{number}"}
        message = step.message.model_copy(update={"body": body})
        return await real(self, step.model_copy(update={"message": message}), *parts)

    return request


def names_both_calls_alike(real: Any) -> Any:
    return lambda event, rule, call, timestamp: real(event, rule, "identify", timestamp)


def forgets_lost_workers(real: Any) -> Any:
    def carried(step: Any) -> Carried:
        found = activities.sender.activity.info().heartbeat_details
        return found[0] if found else Carried(tries=0, attempts=step.attempts)

    return carried


def forgets_what_was_before_a_hold(real: Any) -> Any:
    return lambda connection, attempts: real(connection, AttemptList())


def numbers_all_alike(real: Any) -> Any:
    return lambda self: 1


def ignores_retry_after(real: Any) -> Any:
    return lambda failures, **told: retry_delay(failures, **{**told, "retry_after": None})


def ignores_the_pause(real: Any) -> Any:
    async def usable(self: Sender, step: Any, attempts: Any) -> Any:
        return await self._connections.credential(step.workspace, step.connection)

    return usable


MUTANTS = [
    ("I1", Sender, "_request", gives_up_at_once),
    ("I1", Delivery, "_step", goes_on_after_failure_of("track")),
    ("I1", Delivery, "__init__", never_stops),
    ("I2", workflows.delivery, "build_messages", swaps),
    ("I3", Delivery, "_step", goes_on_after_failure_of("identify")),
    ("I4", Sender, "_request", names_each_attempt_anew),
    ("I4", "destinations.customerio.build", "message_id", names_both_calls_alike),
    ("I5", activities.sender, "carried_so_far", forgets_lost_workers),
    ("I5", activities.sender, "_held", forgets_what_was_before_a_hold),
    ("I5", AttemptList, "next_number", numbers_all_alike),
    ("pace", activities.sender, "retry_delay", ignores_retry_after),
    ("pace", Sender, "_usable", ignores_the_pause),
]


@pytest.mark.parametrize(
    ("invariant", "of", "name", "mutant"),
    MUTANTS,
    ids=[f"{invariant}-{mutant.__name__}-{name}" for invariant, _, name, mutant in MUTANTS],
)
def test_code_that_breaks_a_promise_is_found_out(
    invariant: str, of: Any, name: str, mutant: Callable[[Any], Any]
) -> None:
    if isinstance(of, str):
        of = importlib.import_module(of)
    with patch.object(of, name, mutant(getattr(of, name))):
        year = live(ENOUGH, seed=SEED)
    assert any(fault.startswith(invariant) for fault in year.broken), year.broken


def test_a_delivery_can_be_lived_through_again() -> None:
    assert live(50, seed=1, first=10) == live(50, seed=1, first=10)
