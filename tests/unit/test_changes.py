"""Whoever listens must know when nothing can be heard."""

from __future__ import annotations

import asyncio
from typing import Any

from catalog.changes import CHANNEL, EVERY_WORKSPACE, Changes
from tests.integration.stack import eventually


class Line:
    """A connection that listens; it can be cut with a word, or without one."""

    def __init__(self) -> None:
        self.silent = False
        self.notify: Any = None
        self.cut: Any = None

    def add_termination_listener(self, listener: Any) -> None:
        self.cut = lambda: listener(self)

    async def add_listener(self, channel: str, listener: Any) -> None:
        self.notify = lambda said, on=CHANNEL: listener(self, 1, on, said)

    async def execute(self, statement: str, *, timeout: float) -> None:
        if self.silent:
            await asyncio.sleep(timeout)
            raise TimeoutError

    def is_closed(self) -> bool:
        return False

    def terminate(self) -> None:
        pass


class Exchange:
    """Gives out lines as long as there are any."""

    def __init__(self, *lines: Line) -> None:
        self.lines = list(lines)

    async def connect(self) -> Line:
        if not self.lines:
            raise OSError("no line")
        return self.lines.pop(0)


async def test_notification_reaches_every_subscriber():
    line = Line()
    changes, heard = Changes(Exchange(line).connect), []
    changes.subscribe(heard.append)
    await changes.start()
    line.notify("w")
    await changes.stop()
    assert heard[:2] == [EVERY_WORKSPACE, "w"]


async def test_a_subscriber_that_fails_keeps_nobody_from_hearing(caplog):
    line = Line()
    changes, heard = Changes(Exchange(line).connect), []

    def fails(what: str) -> None:
        raise LookupError("not foreseen")

    changes.subscribe(fails)
    changes.subscribe(heard.append)
    await changes.start()
    line.notify("w")
    assert changes.hearing
    await changes.stop()
    assert heard[:2] == [EVERY_WORKSPACE, "w"]
    assert "LookupError" in caplog.text


async def test_cut_line_is_known_at_once_and_everything_forgotten():
    line = Line()
    changes, heard = Changes(Exchange(line).connect, check_seconds=60), []
    changes.subscribe(heard.append)
    await changes.start()
    assert changes.hearing
    heard.clear()
    line.cut()
    assert not changes.hearing
    assert heard == [EVERY_WORKSPACE]
    await changes.stop()


async def test_line_that_dies_without_a_word_is_noticed_by_asking():
    line = Line()
    changes = Changes(Exchange(line).connect, check_seconds=0.01)
    await changes.start()
    assert changes.hearing
    line.silent = True

    async def deaf() -> bool:
        return not changes.hearing

    await eventually(deaf)
    await changes.stop()


async def test_listening_begins_anew_after_failures():
    exchange = Exchange()
    changes = Changes(exchange.connect)
    await changes.start()  # doesn't wait for what may take long
    assert not changes.hearing
    exchange.lines.append(Line())

    async def hearing() -> bool:
        return changes.hearing

    await eventually(hearing)
    await changes.stop()


async def test_nothing_is_heard_after_stop():
    changes = Changes(Exchange(Line()).connect)
    await changes.start()
    await changes.stop()
    assert not changes.hearing
    await changes.stop()
