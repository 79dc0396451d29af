"""Which of a vendor's calls a request is."""

from __future__ import annotations

import re
from collections.abc import Mapping

from destinations.simulator.request import Request

# By name: the method, and a pattern of the path, whose groups are what the call is about.
Calls = Mapping[str, tuple[str, str]]


def find_call(calls: Calls, request: Request) -> tuple[str, tuple[str, ...]]:
    """Return the name of the first call that fits and what it is about; "" if none fits."""
    for name, (method, path) in calls.items():
        if request.method == method and (found := re.fullmatch(path, request.path)):
            return name, found.groups()
    return "", ()
