"""How a command ends: exit codes.

| code | meaning                                                                |
| ---- | ---------------------------------------------------------------------- |
| 0    | done, and what was asked about is well                                 |
| 1    | done, but the answer is bad: a delivery failed, a key is wrong         |
| 2    | the command line can't be read                                         |
| 3    | no such thing                                                          |
| 4    | refused: the value, or the state of things, does not allow it          |
| 5    | Temporal, PostgreSQL or a destination is unavailable; try again        |
| 6    | settings, keys or schema are wrong; an operator has to act             |
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    OK = 0
    BAD = 1
    USAGE = 2
    NOT_FOUND = 3
    REFUSED = 4
    UNAVAILABLE = 5
    SETTINGS = 6


class CommandFailed(Exception):
    """Ends a command with `code`, and with a message unless it has printed all."""

    def __init__(self, code: Exit, message: str | None = None) -> None:
        super().__init__(message)
        self.code = code
