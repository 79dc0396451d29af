"""A webhook as a destination: one signed request to the tenant's own URL."""

from __future__ import annotations

from dataclasses import replace

from delivery.outcome import Outcome, OutcomeCode, Then
from destinations.destination import Action, Destination
from destinations.webhook.build import build
from destinations.webhook.fields import FIELDS

GONE = 410


def judge(outcome: Outcome) -> Outcome:
    """Correct the outcome of an answer where a webhook's receiver means something else by a status.

    A redirect is a permanent failure, since the receiver has not accepted the event.
    """
    status = outcome.status_code
    if status == GONE:
        return replace(
            outcome,
            then=Then.HOLD,
            message="410: the receiver wants no more messages, so the connection is inactive",
            inactive_reason="manually_inactivated",
        )
    if outcome.code is OutcomeCode.AUTH_FAILED:
        return replace(outcome, message=f"{status}: the receiver refused the authentication")
    if status is not None and 300 <= status < 400:
        return replace(outcome, message=f"{status}: a redirect, which is never followed")
    return outcome


WEBHOOK = Destination(
    type="webhook",
    label="Webhook",
    client="destinations.webhook.client:WebhookClient",
    fields=FIELDS,
    authentication="none",
    actions=(
        Action(
            key="send_webhook",
            label="Send webhook",
            noun="Webhook",
            description="Send the event to your own URL.",
            calls=("send",),
            build=build,
        ),
    ),
    tested_before_saving=True,
)
