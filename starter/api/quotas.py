"""Quotas: how many events and bytes one key, and one workspace, may emit per minute.

A request over a quota is answered 429, with the `RateLimit` fields of
draft-ietf-httpapi-ratelimit-headers, and nothing of it is stored.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from temporalio.common import MetricMeter

from catalog.api_key_lookup import APIKeyLookup
from catalog.quotas import WINDOW_SECONDS
from engine.metric_names import QUOTA_REFUSALS
from starter.api.auth import Caller
from starter.api.errors import ApiError
from starter.api.token_buckets import Demand, Lack, TokenBuckets

KEY_EVENTS, KEY_BYTES = "key-events", "key-bytes"
WORKSPACE_EVENTS, WORKSPACE_BYTES = "workspace-events", "workspace-bytes"

MEBIBYTE = 1024 * 1024

# The part of a workspace's quota that only backends may use, since anyone can use a publishable
# key.
RESERVED = 0.5


@dataclass(frozen=True)
class Quotas:
    """Events and bytes per minute: of one key, and of one workspace over all its keys."""

    key_events: int = 30_000
    key_bytes: int = 32 * MEBIBYTE
    workspace_events: int = 60_000
    workspace_bytes: int = 64 * MEBIBYTE


class QuotaCheck:
    """Raises `ApiError` 429 for a request over a quota, and doesn't count what it refuses."""

    def __init__(
        self, buckets: TokenBuckets, defaults: Quotas, keys: APIKeyLookup, meter: MetricMeter
    ) -> None:
        self._buckets = buckets
        self._defaults = defaults
        self._keys = keys
        self._refusals = meter.create_counter(QUOTA_REFUSALS, "Requests over a quota")

    def admit(self, caller: Caller, size: int) -> None:
        """Count a request with a body of `size` bytes, before it is read, as one event."""
        self._take(self._of_key(caller, 1, size))

    async def count(self, caller: Caller, workspaces: Iterable[str], size: int) -> None:
        """Count the events of an admitted request. `workspaces` has one id for each event."""
        numbers = Counter(workspaces)
        total = numbers.total()
        demands = [self._of_key(caller, total - 1, 0)[0]] if total > 1 else []
        for workspace, number in numbers.items():
            demands += await self._of_workspace(caller, workspace, number, size * number / total)
        self._take(demands)

    def headers(self, caller: Caller) -> dict[str, str]:
        """Return headers that say what a machine key has left; none for a publishable key.

        There they would show everyone how much others use the key, so it learns of its quota
        only once that is used up.
        """
        if caller.publishable is not None:
            return {}
        demands = self._of_key(caller, 0, 0)
        return {
            "RateLimit-Policy": ", ".join(map(_policy, demands)),
            "RateLimit": ", ".join(
                f'"{one.policy}";r={max(math.floor(self._buckets.left(one)), 0)}' for one in demands
            ),
        }

    def _of_key(self, caller: Caller, events: int, size: int) -> tuple[Demand, Demand]:
        own, defaults = caller.quota, self._defaults
        subject = caller.key.removeprefix("sess_")  # a UUID
        return (
            Demand(KEY_EVENTS, subject, own.events or defaults.key_events, events),
            Demand(KEY_BYTES, subject, own.bytes or defaults.key_bytes, size),
        )

    async def _of_workspace(
        self, caller: Caller, workspace: str, events: int, size: float
    ) -> tuple[Demand, Demand]:
        own, defaults = await self._keys.quota_of_workspace(workspace), self._defaults
        reserved = RESERVED if caller.is_browser else 0.0
        most, largest = (
            own.events or defaults.workspace_events,
            own.bytes or defaults.workspace_bytes,
        )
        return (
            Demand(WORKSPACE_EVENTS, workspace, most, events, most * reserved),
            Demand(WORKSPACE_BYTES, workspace, largest, size, largest * reserved),
        )

    def _take(self, demands: Sequence[Demand]) -> None:
        lack = self._buckets.take(demands)
        if lack is not None:
            self._refusals.add(1, {"policy": lack.demand.policy})
            raise _exceeded(lack)


def _policy(demand: Demand) -> str:
    unit = ';qu="content-bytes"' if demand.policy in (KEY_BYTES, WORKSPACE_BYTES) else ""
    return f'"{demand.policy}";q={demand.quota}{unit};w={WINDOW_SECONDS}'


def _exceeded(lack: Lack) -> ApiError:
    demand, seconds = lack.demand, math.ceil(lack.seconds)
    noun, _, unit = demand.policy.partition("-")
    return ApiError(
        429,
        f"the {noun}'s quota of {demand.quota:,} {unit} a minute does not allow it now: "
        f"nothing was stored, send it again in {seconds} s",
        headers={
            "Retry-After": str(seconds),
            "RateLimit-Policy": _policy(demand),
            "RateLimit": f'"{demand.policy}";r=0;t={seconds}',
        },
    )
