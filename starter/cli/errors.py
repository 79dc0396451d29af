"""How a command ends: exit codes, and which error gives which.

| code | meaning                                                                |
| ---- | ---------------------------------------------------------------------- |
| 0    | done, and what was asked about is well                                 |
| 1    | done, but the answer is bad: a delivery failed, a key is wrong         |
| 2    | the command line can't be read                                         |
| 3    | no such thing                                                          |
| 4    | refused: the value, or the state of things, does not allow it          |
| 5    | Temporal, PostgreSQL or Customer.io is away; try again                 |
| 6    | settings, keys or schema are wrong; an operator has to act             |
"""

from __future__ import annotations

from enum import IntEnum

from temporalio.service import RPCError

from catalog import errors as catalog
from catalog.embedded import EmbeddedPostgresError
from catalog.key_watch import WrongKeys
from delivery.bulk_redelivery import InvalidSelection
from delivery.cursor import InvalidCursor
from delivery.errors import InvalidEvent, MappingError
from delivery.redelivery_plan import NotRedeliverable
from emitonce import errors as emit
from engine.bulk_redelivery import RedeliveryNotFound
from engine.connect import TemporalUnreachable
from engine.dev_server import DevServerError
from engine.erasure import NotErased
from engine.event_log import EventNotFound
from engine.namespace import NamespaceUnfit
from engine.server_binary import NoServerBinary
from engine.steering import AlreadyEnded, AttemptImminent, Held
from engine.telemetry import TelemetryError
from settings import SettingsError
from starter.listening import AddressTaken


class Exit(IntEnum):
    OK = 0
    BAD = 1
    USAGE = 2
    NOT_FOUND = 3
    REFUSED = 4
    AWAY = 5
    SETTINGS = 6


class CommandFailed(Exception):
    """A command has said all there is to say and ends with `code`."""

    def __init__(self, code: Exit, message: str | None = None) -> None:
        super().__init__(message)
        self.code = code


_CODES: tuple[tuple[tuple[type[Exception], ...], Exit], ...] = (
    ((catalog.NotFound, EventNotFound, RedeliveryNotFound, emit.EventNotFound), Exit.NOT_FOUND),
    (
        (catalog.CatalogUnavailable, TemporalUnreachable, emit.NotAccepted, RPCError, NotErased),
        Exit.AWAY,
    ),
    (
        (
            SettingsError,
            catalog.SchemaMismatch,
            catalog.CannotDecrypt,
            emit.CannotDecode,
            emit.InvalidSetup,
            WrongKeys,
            DevServerError,
            NoServerBinary,
            EmbeddedPostgresError,
            TelemetryError,
            NamespaceUnfit,
            AddressTaken,
        ),
        Exit.SETTINGS,
    ),
    ((emit.DeliveryFailed, emit.EventCanceled), Exit.BAD),
    (
        (
            catalog.CatalogError,
            emit.EmitError,
            InvalidEvent,
            MappingError,
            InvalidCursor,
            InvalidSelection,
            NotRedeliverable,
            AlreadyEnded,
            AttemptImminent,
            Held,
        ),
        Exit.REFUSED,
    ),
)


def exit_code(error: Exception) -> Exit | None:
    """None for an error that nobody expected, which is shown with its traceback."""
    for kinds, code in _CODES:
        if isinstance(error, kinds):
            return code
    return None
