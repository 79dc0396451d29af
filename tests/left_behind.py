"""Servers that don't outlive the tests that started them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def not_left_behind(pid: int) -> Iterator[None]:
    """Interrupt a server also when this process is killed, which runs no fixture to its end.

    A process of its own waits for that: then the other end of its standard input is closed.
    """
    watcher = subprocess.Popen(
        ["sh", "-c", 'cat && kill -INT "$0"', str(pid)],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield
    finally:
        watcher.kill()
        watcher.wait()
