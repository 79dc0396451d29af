"""Alerts: what an operator is notified of. No personal data: ids, codes and one sentence each."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, SecretStr

from delivery.frozen_model import FrozenModel
from delivery.outcome import OutcomeCode
from delivery.timestamps import iso_milliseconds

AlertFormat = Literal["signed", "slack"]

# The feature by which a fleet starts to report failing connections, see `capabilities`: the watch
# of an older release can't read such an alert.
FAILING_ALERTS = "failing_alerts"


class AlertType(StrEnum):
    CONNECTION_INACTIVE = "connection.inactive"
    # It has only failed for a while, and events wait for it.
    CONNECTION_FAILING = "connection.failing"
    CONNECTION_RECOVERED = "connection.recovered"
    DELIVERY_FAILED = "delivery.failed"
    # Further failures of the same search, counted in one alert instead of one alert each.
    DELIVERIES_FAILED = "deliveries.failed"
    BACKLOG_OLD = "backlog.old"
    # Sent by hand, to try out the receiver.
    TEST = "alert.test"


class LastResponse(FrozenModel):
    """How the last attempt ended. The vendor's own words stay in the log, since they may repeat
    what was sent."""

    call: str
    outcome_code: OutcomeCode
    status_code: int | None = None
    message: str


class Refusal(FrozenModel):
    """The answer that made a connection inactive, and the delivery that received it."""

    event_id: str
    rule: str
    response: LastResponse


class Alert(FrozenModel):
    """One alert. Finding the same problem again gives the same `id`. `url` opens the Web UI.

    `event` is the event's name. Names are those in use when the alert is written, or None for
    what has been deleted.
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

    def encode(self, runbook: str) -> bytes:
        """Encode the body: `{"type", "timestamp", "data"}`, as Standard Webhooks recommends.

        `runbook` is where its sections are read.
        """
        data = self.model_dump(mode="json", exclude_none=True, exclude={"type", "occurred_at"})
        data["runbook_url"] = runbook_url(runbook, self.type)
        body = {
            "type": self.type,
            "timestamp": iso_milliseconds(self.occurred_at),
            "data": data,
        }
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()

    def encode_for_slack(self, runbook: str) -> bytes:
        """Encode the body that Slack's incoming webhooks accept, and those that copy them."""
        about = [name for name in (self.workspace_name, self.connection_name, self.event) if name]
        lines = [f"*{self.type}*: {_plain(self.message)}"]
        if about:
            lines.append(_plain(" · ".join(about)))
        if self.last_response is not None:
            lines.append(_plain(f"Last answer: {self.last_response.message}"))
        links = {"Event": self.url, "Runbook": runbook_url(runbook, self.type)}
        lines.append(
            " · ".join(
                f"<{url}|{word}>" if url.startswith("http") else f"{word}: {url}"
                for word, url in links.items()
                if url
            )
        )
        return json.dumps({"text": "\n".join(lines)}, ensure_ascii=False).encode()


def runbook_url(runbook: str, symptom: str) -> str:
    """Return the address of a symptom's section, as pages of Markdown name it."""
    anchor = re.sub(r"[^a-z0-9 -]", "", symptom.lower()).replace(" ", "-")
    return f"{runbook}#{anchor}"


def _plain(text: str) -> str:
    """Escape what Slack reads as markup for links and mentions."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class InactiveConnection(FrozenModel):
    """A connection that was found inactive, or failing, and when it became so."""

    id: str
    workspace: str
    since: AwareDatetime


class WatchState(FrozenModel):
    """What the last search found, so that the next one reports only what is new.

    Failures were searched until `failed_until`. `seen` lists runs that failed shortly before it, up
    to a limit; `recent` counts all that failed in its last minute, or is None in what an older
    release recorded.
    """

    failed_until: AwareDatetime
    seen: tuple[str, ...] = ()
    recent: int | None = None
    inactive: tuple[InactiveConnection, ...] = ()
    failing: tuple[InactiveConnection, ...] = ()
    backlog: bool = False


class AlertsFound(FrozenModel):
    """What one search found, and in how many seconds to search again.

    `look_again` is None when no alert target is left: then the watch ends.
    """

    known: WatchState
    alerts: tuple[Alert, ...] = ()
    look_again: float | None = None


@dataclass(frozen=True)
class AlertTarget:
    """Where alerts go. `secret`, `whsec_` and base64, signs them, unless they are for Slack.

    `heartbeat_url` is called after each successful search.
    """

    url: SecretStr
    secret: SecretStr
    heartbeat_url: SecretStr | None = None
    format: AlertFormat = "signed"

    @property
    def secret_in_use(self) -> SecretStr | None:
        """The secret that the receiver has; None for Slack, since nobody was shown one."""
        return self.secret if self.format == "signed" else None


# Returns where alerts go now, or None if this process has no target.
CurrentTarget = Callable[[], Awaitable[AlertTarget | None]]


class AlertFailed(Exception):
    """The receiver did not accept the alert. If `permanent`, it never will.

    The message contains neither the URL nor the body.
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent
