"""The names of all metrics; the dashboards and alerts in `deploy/` use them.

They are served beside the SDK's own (`temporal_…`). Labels are ids and fixed words: never an e-mail
address, a payload or an event's name. Counters are shown with `_total`, durations in seconds.
"""

from __future__ import annotations

from typing import Final

# Events that a worker has started to process, whoever emitted them.
EVENTS_ACCEPTED: Final = "emitonce_events_accepted"

# By `status`: completed, failed, canceled, invalid.
EVENTS_ENDED: Final = "emitonce_events_ended"

# One event × one rule, by `status` and `connection`.
DELIVERIES_ENDED: Final = "emitonce_deliveries_ended"

# Tries of a call, by `call`, `outcome`, `connection`, and what comes `then`: done, retry, held,
# failed, or throttled for tries that got no permit within the connection's rate.
ATTEMPTS: Final = "emitonce_attempts"

# From the start of a try to the vendor's answer, by `call` and `outcome`.
VENDOR_LATENCY: Final = "emitonce_vendor_latency"

# From an event's acceptance until its track is delivered, including waits and holds.
DELIVERY_LATENCY: Final = "emitonce_delivery_latency"

# The API's answers, by `route`, `method` and `status`. Of `POST /api/v1/events`: acceptance.
HTTP_LATENCY: Final = "emitonce_http_latency"

# Requests that were answered 429 because a quota was used up, by `policy`: key-events, key-bytes,
# workspace-events, workspace-bytes.
QUOTA_REFUSALS: Final = "emitonce_quota_refusals"

# How long the oldest task of the queue has been waiting, by `kind`: workflow, activity.
BACKLOG_AGE: Final = "emitonce_backlog_age_seconds"

# The number of waiting tasks, by `kind`; approximate, as the server reports it.
BACKLOG_TASKS: Final = "emitonce_backlog_tasks"

# Events that wait for a paused or inactive connection.
EVENTS_HELD: Final = "emitonce_events_held"

_SHORT: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

BUCKETS: Final[dict[str, tuple[float, ...]]] = {
    VENDOR_LATENCY: _SHORT,
    HTTP_LATENCY: _SHORT,
    # From a fraction of a second to the 72 hours after which a delivery is given up.
    DELIVERY_LATENCY: (
        *(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400, 259_200),
    ),
}
