"""What emitonce counts, in one place; `deploy/` draws and alerts by these names.

All are served beside the SDK's own (`temporal_…`). Labels are ids and fixed words: never an e-mail
address, a payload or an event's name. Counters are shown with `_total`, durations in seconds.
"""

from __future__ import annotations

from typing import Final

EVENTS_ACCEPTED: Final = "emitonce_events_accepted"
"""Events that a worker has begun with, whoever started them."""

EVENTS_ENDED: Final = "emitonce_events_ended"
"""By `status`: completed, failed, canceled, invalid."""

DELIVERIES_ENDED: Final = "emitonce_deliveries_ended"
"""One event × one rule, by `status` and `connection`."""

ATTEMPTS: Final = "emitonce_attempts"
"""Tries of a call, by `call`, `outcome`, `connection`, and what comes `then`: done, retry, held,
failed. `throttled` are tries sent away for the connection's rate, before any request."""

VENDOR_LATENCY: Final = "emitonce_vendor_latency"
"""From a try's beginning to the vendor's answer, by `call` and `outcome`."""

DELIVERY_LATENCY: Final = "emitonce_delivery_latency"
"""From an event's acceptance to the vendor's yes to its track, waits and holds included."""

HTTP_LATENCY: Final = "emitonce_http_latency"
"""The API's answers, by `route`, `method` and `status`. Of `POST /api/v1/events`: acceptance."""

QUOTA_REFUSALS: Final = "emitonce_quota_refusals"
"""Requests that were answered 429 since a quota was used up, by `policy`: key-events, key-bytes,
workspace-events, workspace-bytes."""

BACKLOG_AGE: Final = "emitonce_backlog_age_seconds"
"""How long the oldest task of the queue waits for a worker, by `kind`: workflow, activity."""

BACKLOG_TASKS: Final = "emitonce_backlog_tasks"
"""How many wait, by `kind`; approximate, as the server says."""

EVENTS_HELD: Final = "emitonce_events_held"
"""Events that wait for a paused or inactive connection."""

_SHORT: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

BUCKETS: Final[dict[str, tuple[float, ...]]] = {
    VENDOR_LATENCY: _SHORT,
    HTTP_LATENCY: _SHORT,
    # From a fraction of a second to the 72 hours after which a delivery is given up.
    DELIVERY_LATENCY: (
        *(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400, 259_200),
    ),
}
