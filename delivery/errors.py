"""What the domain refuses, typed by what follows from it."""


class InvalidEvent(Exception):
    """The event itself can't be read: no delivery is made. Names the field and the reason."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class EventTooLarge(InvalidEvent):
    """The event has more bytes or JSON values than one may hold."""


class MappingError(Exception):
    """No valid message can be built of this event for this rule; permanent for this delivery.

    Names field, size or kind, limit and remedy; never a value.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class InvalidField(ValueError):
    """What can't be stored of a connection or a rule. The message shows no value."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem
