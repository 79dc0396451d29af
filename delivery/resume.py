"""The inputs and results of `ResumeConnection` and its activity."""

from __future__ import annotations

from delivery.frozen_model import FrozenModel

# The signal that comes with every start, so that a run under way looks for held events again.
RESUMED = "resumed"

# Held events are signaled at this rate, so that ten thousand don't continue at once.
SIGNALED_PER_SECOND = 50


class Resume(FrozenModel):
    """The input of `ResumeConnection`. A run that continues as new hands on `told` and cursor."""

    connection: str
    per_second: float = SIGNALED_PER_SECOND
    told: int = 0
    cursor: str | None = None


class HeldPage(FrozenModel):
    """The held runs to signal: those of `connection`, from `cursor` on."""

    connection: str
    per_second: float
    cursor: str | None = None


class HeldSignaled(FrozenModel):
    """How many runs of a page were signaled. If the connection was not `active`, none was."""

    active: bool
    told: int = 0
    next_cursor: str | None = None


class Resumed(FrozenModel):
    """How many signals were sent; `stopped` if the connection went out of use meanwhile."""

    told: int
    stopped: bool = False
