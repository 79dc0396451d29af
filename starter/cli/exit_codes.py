"""Which error gives which exit code."""

from __future__ import annotations

from temporalio.service import RPCError

from catalog import errors as catalog
from catalog.encryption.keys_in_use import WrongKeys
from delivery.errors import InvalidEvent, MappingError
from delivery.opaque_cursor import InvalidCursor
from delivery.selection import InvalidSelection
from emitonce import errors as emit
from engine.connect import TemporalUnreachable
from engine.namespace import NamespaceUnfit
from engine.telemetry import TelemetryError
from eventlog.fetch import EventNotFound
from eventlog.query import NotSearchable
from operations.bulk_redelivery import RedeliveryNotFound
from operations.erasure import NotErased
from operations.redelivery_plan import NotRedeliverable
from operations.steering import AlreadyEnded, AttemptImminent, Held
from settings import SettingsError
from starter.api.listening import AddressTaken
from starter.cli.errors import Exit
from starter.dev.postgres import EmbeddedPostgresError
from starter.dev.server_binary import NoServerBinary
from starter.dev.temporal_server import DevServerError

_CODES: tuple[tuple[tuple[type[Exception], ...], Exit], ...] = (
    ((catalog.NotFound, EventNotFound, RedeliveryNotFound, emit.EventNotFound), Exit.NOT_FOUND),
    (
        (catalog.CatalogUnavailable, TemporalUnreachable, emit.NotAccepted, RPCError, NotErased),
        Exit.UNAVAILABLE,
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
            NotSearchable,
            NotRedeliverable,
            AlreadyEnded,
            AttemptImminent,
            Held,
        ),
        Exit.REFUSED,
    ),
)


def exit_code(error: Exception) -> Exit | None:
    """Return None for an unexpected error, which is shown with its traceback."""
    return next((code for kinds, code in _CODES if isinstance(error, kinds)), None)
