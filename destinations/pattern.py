"""Text that is entered for a rule and must have a certain form, such as a vendor's id."""

from __future__ import annotations

import re
from collections.abc import Callable


def matching(pattern: str, problem: str) -> Callable[[str], str]:
    """Return a reader of text that matches `pattern`, without white space around it.

    It raises `ValueError` with `problem` for any other.
    """

    def read(text: str) -> str:
        text = text.strip()
        if not re.fullmatch(pattern, text):
            raise ValueError(problem)
        return text

    return read
