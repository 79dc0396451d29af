"""Make those wait who show wrong keys too often from one address.

Keys can't be guessed; this keeps those who try from filling the log. A right key is let through
whatever others behind its address have shown: it is looked up first, and wrong answers only count.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

FAILURES = 20
PER_SECONDS = 60.0

# The most sources that are remembered; the one seen longest ago is forgotten.
_MOST = 10_000


class FailedAttempts:
    """At most `failures` in `per_seconds` from one source; they come back one by one."""

    def __init__(
        self,
        failures: int = FAILURES,
        per_seconds: float = PER_SECONDS,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_seconds = per_seconds
        self._each = per_seconds / failures
        self._clock = clock
        self._all_back_at: OrderedDict[str, float] = OrderedDict()

    def failed(self, source: str) -> float:
        """Count a wrong answer; returns the seconds that its source has to wait, 0 while few.

        `source` is an address, or whatever else is guessed at.
        """
        name, now = _network(source), self._clock()
        all_back_at = max(self._all_back_at.pop(name, now), now)
        wait = max(all_back_at + self._each - now - self._per_seconds, 0.0)
        self._all_back_at[name] = all_back_at if wait else all_back_at + self._each
        if len(self._all_back_at) > _MOST:
            self._all_back_at.popitem(last=False)
        return wait


def _network(address: str) -> str:
    """An IPv6 host has a whole /64 of addresses to call from."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))
