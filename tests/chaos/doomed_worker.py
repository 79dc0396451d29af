"""A worker that dies at a named point, or whose code is broken on purpose: `python -m …`.

CHAOS_CRASH   `point:n`: SIGKILL to itself at the n-th time it comes by
CHAOS_MUTANT  a name of `MUTANTS`: what a worker must never do, for the oracle to find out

| point            | where                                                                |
| ---------------- | -------------------------------------------------------------------- |
| after_match      | rules are matched, the result is not yet reported                    |
| before_request   | everything is ready for the request, which was not made              |
| after_request    | the vendor has answered, nobody has heard of it                      |
| before_heartbeat | the attempt failed, and is not yet in the heartbeat                  |
| after_heartbeat  | the attempt is in the heartbeat, its failure is not yet reported     |
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import workflows.delivery
from activities import rate_limit, sender
from activities.match_rules import MatchRules
from delivery.message import Messages
from delivery.outcome import Outcome
from delivery.step import Step
from destinations.clients import class_of
from destinations.customerio.client import CustomerIOClient
from destinations.registry import BY_TYPE
from settings import Settings
from starter.cli.logs import configure_logs
from starter.cli.output import print_line
from worker import run
from workflows.delivery import Delivery, StepFailed

CLIENTS = [class_of(one) for one in BY_TYPE.values()]
POINTS = ("after_match", "before_request", "after_request", "before_heartbeat", "after_heartbeat")


def crash_at(text: str) -> Callable[[str], None]:
    point, _, nth = text.partition(":")
    passed = count(1)

    def here(name: str) -> None:
        if name == point and next(passed) == int(nth or 1):
            os.kill(os.getpid(), signal.SIGKILL)

    return here


def mine(here: Callable[[str], None]) -> None:
    """Lay `here` at every point."""
    heartbeat = sender.activity.heartbeat
    match = MatchRules.match_rules

    def mined(request: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def sending(*arguments: Any) -> Any:
            here("before_request")
            reply = await request(*arguments)
            here("after_request")
            return reply

        return sending

    def beating(*details: Any) -> None:
        here("before_heartbeat")
        heartbeat(*details)
        here("after_heartbeat")

    async def matching(self: MatchRules, *arguments: Any) -> Any:
        matched = await match(self, *arguments)
        here("after_match")
        return matched

    matching.__dict__.update(match.__dict__)  # the activity's own definition
    matching.__annotations__ = match.__annotations__
    for client in CLIENTS:
        client.send = mined(client.send)
    sender.activity.heartbeat = beating
    MatchRules.match_rules = matching  # type: ignore[method-assign]


def claims_without_sending() -> None:
    async def claiming(self: CustomerIOClient, *arguments: Any) -> Outcome:
        return Outcome.of_answer(200)

    CustomerIOClient.send = claiming  # type: ignore[method-assign]


def track_first() -> None:
    build = workflows.delivery.build_messages

    def swapped(*arguments: Any) -> Messages:
        messages = build(*arguments)
        return messages.model_copy(update={"messages": messages.messages[::-1]})

    workflows.delivery.build_messages = swapped


def track_after_failure() -> None:
    step = Delivery._step

    async def going_on(self: Delivery, *arguments: Any) -> Any:
        try:
            return await step(self, *arguments)
        except StepFailed as err:
            return err.result

    Delivery._step = going_on  # type: ignore[method-assign]


def new_id_each_time() -> None:
    request = CustomerIOClient.send
    numbers = count()

    async def renaming(self: CustomerIOClient, message: Any, *arguments: Any) -> Any:
        body = message.body | {"messageId": f"{next(numbers):026}"}
        return await request(self, message.model_copy(update={"body": body}), *arguments)

    CustomerIOClient.send = renaming  # type: ignore[method-assign]


def silent_second_try() -> None:
    for client in CLIENTS:
        client.send = _twice(client.send)


def _twice(request: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def trying_twice(*arguments: Any) -> Any:
        await request(*arguments)
        return await request(*arguments)

    return trying_twice


def tells_everything() -> None:
    request = CustomerIOClient.send

    async def telling(self: CustomerIOClient, message: Any, *arguments: Any) -> Any:
        print(message.body, file=sys.stderr, flush=True)
        return await request(self, message, *arguments)

    CustomerIOClient.send = telling  # type: ignore[method-assign]


def fails_its_tasks() -> None:
    async def failing(self: Delivery) -> Any:
        raise LookupError("not an error that ends a workflow")

    Delivery._deliver = failing  # type: ignore[method-assign]


def lets_one_have_all() -> None:
    rate_limit.PART_OF_SLOTS = 1


def sends_though_held() -> None:
    async def usable(self: sender.Sender, step: Step, *_: Any) -> Any:
        return await self._connections.credential(step.workspace, step.connection)

    sender.Sender._usable = usable  # type: ignore[method-assign]


MUTANTS = {
    "I1": claims_without_sending,
    "I2": track_first,
    "I3": track_after_failure,
    "I4": new_id_each_time,
    "I5": silent_second_try,
    "I7": tells_everything,
    "I8": fails_its_tasks,
    "I9": lets_one_have_all,
    "I10": silent_second_try,
    "I11": sends_though_held,
}


if __name__ == "__main__":
    configure_logs("warning")
    if mutant := os.environ.get("CHAOS_MUTANT"):
        MUTANTS[mutant]()
    mine(crash_at(os.environ.get("CHAOS_CRASH", "")))
    asyncio.run(run(Settings(), ready=lambda: print_line({"ready": True})))
