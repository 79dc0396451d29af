"""The finding of one check, and what to do about it."""

from __future__ import annotations

from typing import Literal

from delivery.frozen_model import FrozenModel

State = Literal["ok", "warning", "error"]


class Finding(FrozenModel):
    """The result of checking one `matter`.

    `said` is one sentence without secrets or personal data. `remedy` says what to do if it's not
    ok.
    """

    matter: str
    state: State
    said: str
    remedy: str | None = None


def fine(matter: str, said: str) -> Finding:
    return Finding(matter=matter, state="ok", said=said)


def warn(matter: str, said: str, remedy: str) -> Finding:
    return Finding(matter=matter, state="warning", said=said, remedy=remedy)


def bad(matter: str, said: str, remedy: str) -> Finding:
    return Finding(matter=matter, state="error", said=said, remedy=remedy)
