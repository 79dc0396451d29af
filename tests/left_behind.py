"""Servers that don't outlive the tests that started them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def not_left_behind(pid: int) -> Iterator[None]:
    """Interrupt a server if this process is killed, since then no fixture runs to its end.

    A separate process waits for that: its standard input is closed when this process ends.
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
