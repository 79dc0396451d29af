"""Make an address wait once it has sent too many wrong keys.

Keys can't be guessed; this keeps whoever tries from filling the log. A right key is accepted
however many wrong ones came from its address, since the key is looked up before failures count.
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
    """Allows a source `failures` in `per_seconds`, which it regains one by one."""

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
        """Count a failure; return the seconds that its source has to wait, 0 while they are few.

        `source` is the caller's address, or the name of the key whose secret is being guessed.
        """
        name, now = _network(source), self._clock()
        all_back_at = max(self._all_back_at.pop(name, now), now)
        wait = max(all_back_at + self._each - now - self._per_seconds, 0.0)
        self._all_back_at[name] = all_back_at if wait else all_back_at + self._each
        if len(self._all_back_at) > _MOST:
            self._all_back_at.popitem(last=False)
        return wait


def _network(address: str) -> str:
    """Return what stands for a caller: an address; of IPv6 its /64, all of which a host can use."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))
