"""The domain's errors, typed by what follows from them."""


class _FieldError(Exception):
    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class InvalidEvent(_FieldError):
    """The event itself can't be read, so nothing is delivered. Names the field and the reason."""


class EventTooLarge(InvalidEvent):
    """The event has more bytes or JSON values than an event may have."""


class MappingError(_FieldError):
    """No valid message can be built from this event for this rule. The delivery has failed.

    Names the field, its size or kind, the limit and what to do; never a value.
    """


class Unavailable(Exception):
    """A store can't answer now. Try again later."""


class Missing(Exception):
    """A store doesn't have the requested item, or no longer has it."""


class Unreadable(Exception):
    """A stored value was encrypted with a key that only another process may have."""


class InvalidField(ValueError):
    """A field of a connection or rule that can't be stored. The message shows no value."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem
