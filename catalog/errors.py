"""The catalog's errors, typed by what the caller has to do.

CatalogError
├── InvalidValue          the caller's input is wrong: report it to whoever sent it
├── NotFound              it doesn't exist, or belongs to someone else
├── Conflict              the catalog's state forbids it
│   ├── OlderRelease      a process that would ignore it may still run: finish the rollout
│   ├── TooManyRules      an event would match more rules than one event may
│   └── VersionConflict   someone else has written meanwhile: read again
├── CatalogUnavailable    the database is unavailable: try again later
├── CannotDecrypt         the key ring lacks the key, or the stored bytes were changed
├── ReleaseTooOld         the fleet uses what this release doesn't know: deploy a newer one
└── SchemaMismatch        code and database don't belong together: migrate or deploy
"""

from __future__ import annotations

from delivery.errors import Missing, Unavailable, Unreadable


class CatalogError(Exception):
    """The base of all of these. The message is one sentence for a person, without secrets."""


class InvalidValue(CatalogError):
    """`field` names what is wrong; the message says the limit."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class NotFound(CatalogError, Missing):
    """Also raised for what belongs to another organization, so as not to reveal that it exists."""

    def __init__(self, noun: str, id: str) -> None:
        shown = id if len(id) <= 64 else id[:64] + "…"
        super().__init__(f"there is no {noun} {shown!r} here: check the id and whose it is")
        self.noun = noun


class SessionEnded(CatalogError):
    def __init__(self) -> None:
        super().__init__("your session has ended, so nothing was done: sign in and try again")


class Conflict(CatalogError):
    pass


class OlderRelease(Conflict):
    pass


class TooManyRules(Conflict):
    def __init__(self, event: str, limit: int) -> None:
        super().__init__(
            f"one event {event!r} would match more than {limit} active rules: "
            "deactivate or delete one, or narrow them by resource or resource_id"
        )


class VersionConflict(Conflict):
    def __init__(self, noun: str, *, expected: int, current: int | None) -> None:
        now = "none is stored" if current is None else f"it is at version {current}"
        super().__init__(
            f"the {noun} was expected at version {expected}, but {now}: read it again and repeat"
        )
        self.expected = expected
        self.current = current


class CatalogUnavailable(CatalogError, Unavailable):
    def __init__(self, reason: str) -> None:
        super().__init__(f"the catalog's database can't be used now: {reason}")


class CannotDecrypt(CatalogError, Unreadable):
    """Says nothing about the key or the plain text."""

    def __init__(self) -> None:
        super().__init__(
            "a stored credential can't be decrypted: give back the key that it was encrypted with "
            "(EMITONCE_CREDENTIAL_KEYS), or replace the credential"
        )


class ReleaseTooOld(CatalogError):
    def __init__(self, unknown: tuple[str, ...]) -> None:
        """`unknown` is what the fleet uses and this release doesn't know, in words."""
        super().__init__(
            f"events have been recorded with {', '.join(unknown)}, which this release doesn't "
            "know: going back behind that isn't possible, so start a release that knows it"
        )


class SchemaMismatch(CatalogError):
    pass
