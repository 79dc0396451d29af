"""Headlines: in one sentence, why a delivery or an event failed."""

from __future__ import annotations

from collections.abc import Sequence

from delivery.delivery_log import DeliveryLog
from delivery.failures import Failure
from delivery.outcome import OutcomeCode
from delivery.reason import headline
from destinations.registry import BY_TYPE

GIVEN_UP = "given up"


def headline_of(delivery: DeliveryLog, *, own_words: bool = True) -> str | None:
    """Say why a delivery failed; None if it didn't.

    The destination's `own_words` may repeat what was sent.
    """
    if delivery.reason is None:
        return None
    said = _logged(delivery) or (_answered(delivery) if own_words else None)
    return headline(vendor_of(delivery.integration_type), delivery.reason, said)


def headline_of_failures(failures: Sequence[Failure]) -> str | None:
    """Say why an event failed, from what lists know; None if they don't."""
    if not failures:
        return None
    first = headline(vendor_of(failures[0].type), failures[0].reason)
    return first if len(failures) == 1 else f"{first}, and {len(failures) - 1} more"


def vendor_of(type: str) -> str:
    return BY_TYPE[type].label if type in BY_TYPE else type or "the destination"


def _answered(delivery: DeliveryLog) -> str | None:
    """Return the destination's words in the answer to the last attempt."""
    lasts = [call.attempts[-1] for call in delivery.calls if call.attempts]
    known = BY_TYPE.get(delivery.integration_type)
    if known is None or not lasts:
        return None
    last = max(lasts, key=lambda attempt: attempt.started_at)
    return known.complaint(last.response_excerpt).text


def _logged(delivery: DeliveryLog) -> str | None:
    """Return the log's own words, where the destination has none or they say more."""
    reason, (code, _, message) = delivery.reason, (delivery.last_error or "").partition(": ")
    if reason is None or code != reason.outcome or not message:
        return None
    if reason.outcome is OutcomeCode.MAPPING_ERROR and reason.field:
        return message.removeprefix(f"{reason.field}: ")
    answered = reason.status is not None and not message.startswith(GIVEN_UP)
    return None if answered else message
