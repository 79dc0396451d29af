"""What can go wrong, typed by what the caller does about it.

EmitError
├── NotAccepted              try again, with the same idempotency key
├── InvalidEvent             fix the event: emitted as it is, it would be refused again
│   └── IdempotencyConflict  its key stands for another event: give it a key of its own
├── InvalidSetup             fix the set-up: URL, key, namespace, secret; keep the event
│   └── NotAllowed           the key or token is refused
├── CannotDecode             a key is missing here, or what was stored was changed
├── EventNotFound            no such event, or past its retention
├── DeliveryFailed           accepted, but a delivery ended in failure; `.result` says which
└── EventCanceled            accepted, then canceled by a person

`emit` raises the first three and what is below them; the others are about an event accepted before.
"""

from __future__ import annotations

from typing import Any


class EmitError(Exception):
    """Anything this package raises on purpose."""


class NotAccepted(EmitError):
    """The event is not known to be stored. Try again, with the same idempotency key if it had one.

    `retry_after` is how many seconds the server asked to wait, None where it didn't say.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class InvalidEvent(EmitError):
    """The event can't be accepted as it is; the message names the field and the remedy."""


class IdempotencyConflict(InvalidEvent):
    """The idempotency key already stands for an event with another body."""


class InvalidSetup(EmitError):
    """No event can be accepted until someone fixes the set-up; the message says what is wrong.

    Nothing is wrong with the event: keep it and emit it again afterwards.
    """


class NotAllowed(InvalidSetup):
    """The server refuses the key or token that the event came with."""


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
