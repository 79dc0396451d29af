"""The releases that a fleet may be made of while it is upgraded or rolled back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.chaos.older_code import check_out
from tests.chaos.processes import ROOT

# 0.1.0: knows nothing of other releases beside it.
FIRST_COMMIT = "8c73900f4beeb467336d1cf3df60106f46554b5b"
# The first whose workers say what they know, and which runs on newer schemas.
R0_COMMIT = "9babad452e6bfd6fe7739354aadce1672673b26a"


@dataclass(frozen=True)
class Release:
    """`root` is where its code lies."""

    name: str
    root: Path


def lay_out(directory: Path) -> tuple[Release, Release, Release]:
    """The first release, the one that runs beside all later ones, and this one.

    Raises:
        AssertionError: this is no clone, or a shallow one.
    """
    first, r0 = (
        Release(name, check_out(commit, directory / name))
        for name, commit in (("8c73900", FIRST_COMMIT), ("R0", R0_COMMIT))
    )
    return first, r0, Release("this release", ROOT)
