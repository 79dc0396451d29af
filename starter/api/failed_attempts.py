"""Who shows wrong keys too often, from one address, is told to wait.

Keys can't be guessed; this keeps those who try from filling the log. A right key is let through
whatever others behind its address have shown: it is looked up first, and wrong answers only count.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

FAILURES = 20
PER_SECONDS = 60.0

# So many sources are remembered; the one seen longest ago is forgotten.
_MOST = 10_000


@dataclass
class _Bucket:
    left: float
    filled_at: float


class FailedAttempts:
    """At most `failures` in `per_seconds` from one source; they come back one by one."""

    def __init__(
        self,
        failures: int = FAILURES,
        per_seconds: float = PER_SECONDS,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failures = failures
        self._rate = failures / per_seconds
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def failed(self, source: str) -> float:
        """Count a wrong answer; returns the seconds that its source has to wait, 0 while few.

        `source` is an address, or whatever else is guessed at.
        """
        name = _network(source)
        bucket = self._buckets.get(name) or _Bucket(self._failures, self._clock())
        self._buckets[name] = bucket
        self._buckets.move_to_end(name)
        if len(self._buckets) > _MOST:
            self._buckets.popitem(last=False)
        self._refill(bucket)
        if bucket.left < 1:
            return (1 - bucket.left) / self._rate
        bucket.left -= 1
        return 0.0

    def _refill(self, bucket: _Bucket) -> None:
        now = self._clock()
        bucket.left = min(bucket.left + (now - bucket.filled_at) * self._rate, self._failures)
        bucket.filled_at = now


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
