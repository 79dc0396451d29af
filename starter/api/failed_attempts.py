"""Who fails to authenticate too often, from one address, is refused unheard for a while.

Keys can't be guessed; this keeps those who try from costing a look into the database each time, and
the log from filling up. Keys that were right before are always let through, so that one broken
client behind an address it shares with others does not shut them out.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

FAILURES = 20
PER_SECONDS = 60.0

# So many addresses and keys are remembered; the least recently seen one is forgotten.
_MOST = 10_000


@dataclass
class _Bucket:
    left: float
    filled_at: float


class FailedAttempts:
    """At most `failures` in `per_seconds` from one address; they come back one by one."""

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
        self._known: OrderedDict[str, None] = OrderedDict()

    def wait(self, address: str, key: str) -> float:
        """Seconds that this address has to wait before it is heard again; 0: now.

        `key` is the public part of what it shows: one that was right before has not to wait.
        """
        if key in self._known:
            return 0.0
        bucket = self._buckets.get(_network(address))
        if bucket is None:
            return 0.0
        self._refill(bucket)
        return 0.0 if bucket.left >= 1 else (1 - bucket.left) / self._rate

    def succeeded(self, key: str) -> None:
        _remember(self._known, key, None)

    def failed(self, address: str) -> None:
        name = _network(address)
        bucket = self._buckets.get(name) or _Bucket(self._failures, self._clock())
        self._refill(bucket)
        bucket.left = max(bucket.left - 1, 0.0)
        _remember(self._buckets, name, bucket)

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


def _remember(held: OrderedDict[str, T], name: str, value: T) -> None:
    held[name] = value
    held.move_to_end(name)
    if len(held) > _MOST:
        held.popitem(last=False)
