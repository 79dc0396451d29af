"""What can go wrong, typed by what the caller does about it.

EmitError
├── InvalidEvent          the event can't be read: mend it; it was not delivered
├── IdempotencyConflict   the key was used for another event: use a key of its own
├── NotAccepted           nothing was stored: emit it again, with the same idempotency key
├── NotAllowed            the HTTP API does not take the key or token: an operator has to act
├── CannotDecode          a key is missing here, or what was stored was changed
├── EventNotFound         no such event, or past its retention
├── DeliveryFailed        accepted, but a delivery ended in failure; `.result` says which
└── EventCanceled         accepted, then canceled by a person
"""

from __future__ import annotations

from typing import Any


class EmitError(Exception):
    """Anything this package raises on purpose."""


class InvalidEvent(EmitError):
    """The event can't be read; the message names the field and the remedy."""


class IdempotencyConflict(EmitError):
    """The idempotency key already stands for an event with another body."""


class NotAccepted(EmitError):
    """Temporal did not take the event. Emitting it again is safe with an idempotency key."""


class NotAllowed(EmitError):
    """The HTTP API does not take the key or token that the event came with."""


class CannotDecode(EmitError):
    """A payload can't be decrypted here. Says which key is missing, and nothing of the payload."""

    def __init__(self, missing_key: str | None) -> None:
        if missing_key is None:
            super().__init__(
                "a payload can't be decrypted: it was changed, cut short, or belongs elsewhere"
            )
        else:
            super().__init__(
                f"a payload can't be decrypted: this process lacks the key {missing_key!r}; "
                "add it to EMITONCE_PAYLOAD_KEYS"
            )
        self.missing_key = missing_key


class EventNotFound(EmitError):
    """No event with that id is known: a wrong id, or one past the namespace's retention."""


class EventCanceled(EmitError):
    """The event was canceled before all its deliveries had ended."""


class DeliveryFailed(EmitError):
    """At least one delivery failed for good. `result` is the event's result as a JSON object."""

    def __init__(self, message: str, result: dict[str, Any]) -> None:
        super().__init__(message)
        self.result = result
