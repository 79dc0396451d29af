"""A wall clock that jumps, for one process: libfaketime, told by a file.

The monotonic clock is left alone, as it is when a machine's time is corrected.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

_PLACES = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1")
MISSING = "libfaketime is missing (Debian: apt-get install faketime)"


def library() -> Path | None:
    found = (path for place in _PLACES for path in Path("/").glob(place.lstrip("/")))
    return next(found, None)


class WrongClock:
    """`env` is for the process; `jump` moves its clock at once."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "wrong-clock"
        self.jump(0)

    @property
    def env(self) -> dict[str, str]:
        """Raises AssertionError where libfaketime is not installed."""
        found = library()
        assert found, MISSING
        return {
            "LD_PRELOAD": str(found),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, seconds: int) -> None:
        """To so many seconds beside the true time."""
        beside = self._file.with_suffix(".new")
        beside.write_text(f"{seconds:+d}s\n")
        beside.replace(self._file)


def furthest(log: Path) -> tuple[timedelta, timedelta]:
    """How far behind and ahead of now its lines claim to have been written, in a log of JSON."""
    now = datetime.now(UTC)
    beside = [timedelta()]
    for line in log.read_text().splitlines():
        try:
            beside.append(datetime.fromisoformat(json.loads(line)["timestamp"]) - now)
        except (ValueError, TypeError, KeyError):  # what the interpreter itself has to say
            continue
    return -min(beside), max(beside)
