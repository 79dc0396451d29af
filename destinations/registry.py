"""All destinations, and what this release knows because it has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from delivery.alert import FAILING_ALERTS
from delivery.capabilities import Capabilities, UnknownToThisRelease
from delivery.delivery_log import DeliveryLog
from delivery.errors import InvalidField
from delivery.event import Event
from delivery.message import Messages
from delivery.people import PEOPLE
from delivery.reason import REASON
from delivery.rule import MatchedRule
from delivery.size import SIZE_LIMIT
from delivery.source import EVENT_SOURCE
from delivery.step import HEARTBEATS
from delivery.text import shown
from destinations.customerio.builds import build_of
from destinations.customerio.destination import CUSTOMER_IO
from destinations.destination import Action, Destination
from destinations.hubspot.destination import HUBSPOT
from destinations.intercom.destination import INTERCOM
from destinations.mailchimp.destination import MAILCHIMP
from destinations.resend.destination import RESEND
from destinations.slack.destination import SLACK
from destinations.webhook.destination import WEBHOOK

BY_TYPE: dict[str, Destination] = {
    one.type: one for one in (CUSTOMER_IO, WEBHOOK, SLACK, HUBSPOT, RESEND, MAILCHIMP, INTERCOM)
}

# What 8c73900 knows, whose workers don't say so.
FIRST_RELEASE = Capabilities(builds=(1,), destination_types=(CUSTOMER_IO.type,))


def this_release() -> Capabilities:
    return Capabilities(
        builds=tuple(sorted({build for one in BY_TYPE.values() for build in one.builds})),
        destination_types=tuple(BY_TYPE),
        features=(EVENT_SOURCE, SIZE_LIMIT, HEARTBEATS, PEOPLE, REASON, FAILING_ALERTS),
    )


def destination_of(rule: MatchedRule) -> Destination:
    """Raises `UnknownToThisRelease`."""
    if (found := BY_TYPE.get(rule.integration_type)) is None:
        raise UnknownToThisRelease(f"type {rule.integration_type} is known to a newer release only")
    return found


def action_of(rule: MatchedRule) -> Action:
    """Raises `UnknownToThisRelease`."""
    found = destination_of(rule).action(rule.metadata.action)
    if found is None:
        raise UnknownToThisRelease(
            f"action {rule.metadata.action} of {rule.integration_type} is known to a newer release "
            "only"
        )
    return found


def read_fields(type: str, given: Mapping[str, str]) -> dict[str, str]:
    return BY_TYPE[type].read_fields(given)


def secret_keys(type: str) -> tuple[str, ...]:
    return BY_TYPE[type].secret_keys


def read_metadata(type: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Read a rule's metadata as it is stored: what is read has its type, everything else is kept.

    Raises:
        InvalidField: there is no such action, or a value can't be read.
    """
    actions = BY_TYPE[type].actions if type in BY_TYPE else ()
    action = next((one for one in actions if one.key == metadata.get("action")), None)
    if action is None:
        allowed = " or ".join(repr(one.key) for one in actions) or "known to this release"
        raise InvalidField("action", f"must be {allowed}")
    return action.read_metadata(metadata)


def unread_metadata(type: str, stored: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a warning for each key that is kept for the client that set it, but never read."""
    destination = BY_TYPE.get(type)
    action = destination and destination.action(stored.get("action", ""))
    if not action:
        return ()
    read = tuple(action.metadata.model_fields)
    return tuple(
        f"metadata.{shown(name)} is kept but not read: only {', '.join(read)} are"
        for name in stored
        if name not in read
    )


def build_messages(event: Event, rule: MatchedRule) -> Messages:
    """Build a delivery's messages. Deterministic: the same input gives the same bytes.

    Raises:
        MappingError: no valid message can be built; names field, limit and remedy.
        UnknownToThisRelease: only a newer release knows the type, the action or the build.
    """
    return action_of(rule).build(event, rule)


def with_types_and_builds(event: Event) -> Event:
    """Complete a redelivery of a release that had one destination and did not name it."""
    redelivery = event.redelivery
    if redelivery is None:
        return event
    earlier = tuple(_complete(delivery) for delivery in redelivery.earlier)
    return event.model_copy(
        update={"redelivery": redelivery.model_copy(update={"earlier": earlier})}
    )


def _complete(delivery: DeliveryLog) -> DeliveryLog:
    changes: dict[str, Any] = {}
    if not delivery.integration_type:
        changes["integration_type"] = CUSTOMER_IO.type
    for call in delivery.calls:
        if call.build is None:
            changes[call.call] = call.model_copy(update={"build": build_of(call.request)})
    return delivery.model_copy(update=changes) if changes else delivery
