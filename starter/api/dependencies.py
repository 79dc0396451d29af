"""What the API works with, made by whoever runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from temporalio.client import Client
from temporalio.common import MetricMeter

from catalog import Catalog
from delivery.size import LARGEST_PAYLOAD
from destinations.destination import Client as DestinationClient
from emitonce.start import TASK_QUEUE, EventStarter
from starter.api.codec import CodecAccess
from starter.api.quotas import Quotas


@dataclass(frozen=True)
class Dependencies:
    """Everything that the API needs.

    `instance_secret` is raw bytes. `ui_url` is where people open the Temporal Web UI, and
    `public_url` where they open the console, if that isn't the address it listens on. An event's
    payload has at most `largest_payload` bytes.

    A machine key that is created in the console expires after `key_days`; 0 means never. The audit
    is kept for `audit_days`. `quotas` are for keys and workspaces that have none of their own.
    `clients` are the destinations' clients, by type.

    `embed_origins` are those of pages that may embed sessions which name none of their own.

    With `codec`, `/codec` decodes for that Web UI and for Temporal's command line.
    """

    client: Client
    catalog: Catalog
    instance_secret: bytes
    task_queue: str = TASK_QUEUE
    ui_url: str | None = None
    public_url: str | None = None
    runbook_url: str = "docs/runbook.md"
    codec: CodecAccess | None = None
    quotas: Quotas = field(default_factory=Quotas)
    meter: MetricMeter = MetricMeter.noop
    largest_payload: int = LARGEST_PAYLOAD
    key_days: int = 0
    audit_days: int = 400
    embed_origins: tuple[str, ...] = ()
    clients: Mapping[str, DestinationClient] = field(default_factory=dict)

    def event_starter(self) -> EventStarter:
        return EventStarter(
            self.client,
            instance_secret=self.instance_secret,
            task_queue=self.task_queue,
            largest_payload=self.largest_payload,
        )
