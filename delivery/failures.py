"""The failures of one run, as a search attribute holds them: at which connections, and why."""

from __future__ import annotations

from collections.abc import Iterable

from delivery.frozen_model import FrozenModel
from delivery.reason import Reason
from delivery.result import EventResult, Status

# PostgreSQL's visibility store has this many characters for a Keyword. One failure always fits.
LONGEST = 255

# Stands before several failures.
SEVERAL = "+"


class Failure(FrozenModel):
    """Why deliveries to one connection failed; `type` is its destination's."""

    connection: str
    type: str
    reason: Reason

    @property
    def key(self) -> str:
        return f"{self.start}{self.type}"

    @property
    def start(self) -> str:
        """All of `key` but the type, which follows from the connection."""
        return f"{self.connection}/{self.reason.key}/"


def failures_of(result: EventResult) -> tuple[Failure, ...]:
    """Return the failures of a run, each once, in the order of its deliveries."""
    found = (
        Failure(connection=one.connection, type=one.integration_type, reason=one.reason)
        for one in result.deliveries
        if one.status is Status.FAILED and one.reason is not None
    )
    return tuple({failure.key: failure for failure in found}.values())


def write_failures(failures: Iterable[Failure]) -> str:
    """Write as many failures, from the first, as fit into the attribute."""
    keys = [failure.key for failure in failures]
    if len(keys) < 2:
        return "".join(keys)
    text = SEVERAL
    for key in keys:
        if len(longer := f"{text} {key}") > LONGEST:
            break
        text = longer
    return text


def read_failures(text: str | None) -> tuple[Failure, ...]:
    """Read the attribute; what can't be read, as a newer release may write it, is left out."""
    found = []
    for key in (text or "").removeprefix(SEVERAL).split():
        connection, _, rest = key.partition("/")
        written, _, type = rest.rpartition("/")
        if (reason := Reason.read(written)) is not None:
            found.append(Failure(connection=connection, type=type, reason=reason))
    return tuple(found)
