"""What `ResumeConnection` is told and what it finds."""

from __future__ import annotations

from delivery.values import Value

# Sent with every start, so that a run under way looks once more.
RESUMED = "resumed"

# Held deliveries are told at this pace, so that ten thousand don't arrive at once.
TOLD_PER_SECOND = 50


class Resume(Value):
    """`told` and `cursor` are carried on when a long run continues as a new one."""

    connection: str
    per_second: float = TOLD_PER_SECOND
    told: int = 0
    cursor: str | None = None


class HeldPage(Value):
    """Which held runs to tell: those of `connection`, from `cursor` on."""

    connection: str
    per_second: float
    cursor: str | None = None


class HeldTold(Value):
    """`active` is False when the connection takes no deliveries (again): nobody was told then."""

    active: bool
    told: int = 0
    next_cursor: str | None = None


class Resumed(Value):
    """How often a run was told; `stopped` when the connection went out of use meanwhile."""

    told: int
    stopped: bool = False
