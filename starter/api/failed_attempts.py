"""Make an address wait once it has sent too many wrong keys, or a key once too much is refused it.

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
    """Allows a source `failures` in `PER_SECONDS`, which it regains one by one."""

    def __init__(
        self,
        failures: int = FAILURES,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._each = PER_SECONDS / failures
        self._clock = clock
        self._all_back_at: OrderedDict[str, float] = OrderedDict()

    def failed(self, source: str) -> float:
        """Count a failure; return the seconds that its source has to wait, 0 while they are few.

        `source` is the caller's address, or the name of the key whose secret is being guessed.
        """
        name, now = _network(source), self._clock()
        wait, all_back_at = self.wait(source), max(self._all_back_at.pop(name, now), now)
        self._all_back_at[name] = all_back_at if wait else all_back_at + self._each
        if len(self._all_back_at) > _MOST:
            self._all_back_at.popitem(last=False)
        return wait

    def wait(self, source: str) -> float:
        """Return the seconds until its next failure would count, 0 if it would now."""
        left = self._all_back_at.get(_network(source), 0.0) - self._clock()
        return max(max(left, 0.0) + self._each - PER_SECONDS, 0.0)


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
