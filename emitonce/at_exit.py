"""Let a process end only when no thread of Temporal's client is inside Python anymore.

The client's threads, which are not Python's, hand an answer over with `loop.call_soon_threadsafe`.
Its write wakes the loop and lets go of the interpreter, so a program whose last act was a call may
be torn down before that thread has come back; which then crashes the process, exit code -11 or -6,
although everything had been done.
"""

from __future__ import annotations

import atexit
import functools
import sys
import time
from types import FrameType

LONGEST_WAIT_SECONDS = 1.0


@functools.cache
def leave_in_order() -> None:
    """Have this process wait, at its end, for the threads that are handing an answer over."""
    atexit.register(_wait)


def _wait() -> None:
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    while _handing_over() and time.monotonic() < deadline:
        time.sleep(0.001)


def _handing_over() -> bool:
    # A thread of Python's own starts with another function.
    begun_with = (_outermost(frame).f_code.co_name for frame in sys._current_frames().values())
    return "call_soon_threadsafe" in begun_with


def _outermost(frame: FrameType) -> FrameType:
    while frame.f_back is not None:
        frame = frame.f_back
    return frame
