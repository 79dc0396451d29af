"""A connection to the simulator of each type and a rule for it, for tests of several at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from catalog import Catalog
from catalog.connections import Connection
from catalog.rules import Rule
from destinations.customerio.simulator import US_KEY
from destinations.hubspot.simulator import SIGNED_UP
from destinations.hubspot.simulator import TOKEN as HUBSPOT_TOKEN
from destinations.intercom.simulator import TOKEN as INTERCOM_TOKEN
from destinations.mailchimp.simulator import KEY as MAILCHIMP_KEY
from destinations.mailchimp.simulator import NEWS
from destinations.registry import BY_TYPE
from destinations.resend.simulator import KEY as RESEND_KEY
from destinations.slack.simulator import GENERAL
from destinations.slack.simulator import TOKEN as SLACK_TOKEN
from destinations.webhook.simulator import SECRET


@dataclass(frozen=True)
class Sample:
    """What is entered for a connection, and what a rule says of its action."""

    fields: Mapping[str, str]
    metadata: Mapping[str, str]

    async def connect(
        self, catalog: Catalog, organization: str, workspace: str, type: str, **fields: str
    ) -> Connection:
        """Create the connection, with other `fields` where given."""
        return await catalog.connections.create(
            organization,
            workspace=workspace,
            type=type,
            name=f"Acme {BY_TYPE[type].label}",
            fields={**self.fields, **fields},
            created_by="test",
        )

    async def rule(self, catalog: Catalog, organization: str, of: Connection, event: str) -> Rule:
        return await catalog.rules.create(
            organization,
            workspace=of.workspace,
            connection=of.id,
            event=event,
            metadata=dict(self.metadata),
            created_by="test",
        )


def samples(webhook_url: str) -> dict[str, Sample]:
    """By type."""
    return {
        "customer_io": Sample({"region": "us", "cdpApiKey": US_KEY}, {"action": "track_event"}),
        "webhook": Sample(
            {"url": webhook_url, "signing_secret": SECRET}, {"action": "send_webhook"}
        ),
        "slack": Sample(
            {"access_token": SLACK_TOKEN},
            {"action": "send_message", "id": GENERAL, "template": "{{userId}} signed up"},
        ),
        "hubspot": Sample(
            {"access_token": HUBSPOT_TOKEN}, {"action": "track_event", "id": SIGNED_UP}
        ),
        "resend": Sample(
            {"api_key": RESEND_KEY},
            {"action": "track_event", "event_name_override": "signed_up"},
        ),
        "mailchimp": Sample({"api_key": MAILCHIMP_KEY}, {"action": "track_event", "id": NEWS}),
        "intercom": Sample(
            {"region": "us", "access_token": INTERCOM_TOKEN}, {"action": "track_event"}
        ),
    }
