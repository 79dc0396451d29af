"""What an operator is told without asking. No personal data: ids, codes and one sentence each."""

from __future__ import annotations

import json
from enum import StrEnum

from pydantic import AwareDatetime

from delivery.moments import iso_milliseconds
from delivery.outcome import OutcomeCode
from delivery.values import Value


class AlertType(StrEnum):
    CONNECTION_INACTIVE = "connection.inactive"
    CONNECTION_RECOVERED = "connection.recovered"
    DELIVERY_FAILED = "delivery.failed"
    DELIVERIES_FAILED = "deliveries.failed"
    """Many at once: so many more than those told of one by one."""
    BACKLOG_OLD = "backlog.old"
    TEST = "alert.test"
    """Sent by hand; no look finds it."""


class LastResponse(Value):
    """The last attempt of the event that stands for the alert. What Customer.io wrote itself is
    left to the log: it may repeat what was sent."""

    call: str
    outcome_code: OutcomeCode
    status_code: int | None = None
    message: str


class Refusal(Value):
    """The answer that made a connection inactive, and whose delivery it was."""

    event_id: str
    rule: str
    response: LastResponse


class Alert(Value):
    """`id` is the same however often the same is found. `url` leads into the Web UI.

    `event` is the name of the event, by which its rule is known too. A name is as it is when the
    alert is written; None where what it named is gone.
    """

    id: str
    type: AlertType
    occurred_at: AwareDatetime
    message: str
    workspace: str | None = None
    workspace_name: str | None = None
    connection: str | None = None
    connection_name: str | None = None
    rule: str | None = None
    event: str | None = None
    event_id: str | None = None
    count: int | None = None
    last_response: LastResponse | None = None
    url: str | None = None

    def encode(self) -> bytes:
        """The body: `{"type", "timestamp", "data"}`, the shape that Standard Webhooks advise."""
        data = self.model_dump(mode="json", exclude_none=True, exclude={"type", "occurred_at"})
        body = {
            "type": self.type,
            "timestamp": iso_milliseconds(self.occurred_at),
            "data": data,
        }
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


class InactiveConnection(Value):
    """A connection that was found inactive, and since when."""

    id: str
    workspace: str
    since: AwareDatetime


class Known(Value):
    """What the last look has found, so that the next one tells only what is new.

    `failed_until` is how far failures were looked for, `seen` the runs found close to it, of
    which there may be more than are listed: `recent` counts those of its last minute. None by a
    release that didn't count.
    """

    failed_until: AwareDatetime
    seen: tuple[str, ...] = ()
    recent: int | None = None
    inactive: tuple[InactiveConnection, ...] = ()
    backlog: bool = False


class Seen(Value):
    """What one look has found, and in how many seconds to look again.

    `look_again` is None where nobody is left to tell: then the watch ends.
    """

    known: Known
    alerts: tuple[Alert, ...] = ()
    look_again: float | None = None
