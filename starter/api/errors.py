"""Turn errors into answers: a status, a name, a message and the parameters at fault.

`{"message": "Bad Request", "error": {"name", "message", "data": [{"param", "msg"}]}}` is Meshes'
own form. The status of each error is decided here and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from temporalio.service import RPCError, RPCStatusCode

import catalog.errors as catalog
import emitonce.errors as emit
from delivery import errors as domain
from delivery.opaque_cursor import InvalidCursor
from delivery.selection import InvalidSelection
from delivery.validation import problem
from emitonce.size import EventTooLarge
from engine.failing_fast import NotConnected
from eventlog.fetch import EventNotFound
from eventlog.query import NotSearchable
from operations.bulk_redelivery import NothingSelected, RedeliveryNotFound
from operations.redelivery_plan import NotRedeliverable
from operations.steering import AlreadyEnded, AttemptImminent, Held

RETRY_AFTER_SECONDS = 2

JsonObject = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """One parameter at fault: a field's path such as `metadata.region`, a header, or a query
    parameter."""

    param: str
    msg: str


@dataclass
class ApiError(Exception):
    """An error that is answered with `status`; `message` is one sentence for a person."""

    status: int
    message: str
    faults: tuple[Fault, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> JsonObject:
        phrase = phrase_of(self.status)
        error: JsonObject = {"name": phrase.replace(" ", ""), "message": self.message}
        if self.faults:
            error["data"] = [{"param": fault.param, "msg": fault.msg} for fault in self.faults]
        return {"message": phrase, "error": error}


def phrase_of(status: int) -> str:
    """Return RFC 9110's phrase for a status; some versions of Python have older ones."""
    return {413: "Content Too Large", 422: "Unprocessable Content"}.get(
        status, HTTPStatus(status).phrase
    )


def bad_request(param: str, msg: str) -> ApiError:
    return ApiError(400, f"{param}: {msg}", (Fault(param, msg),))


def not_found(param: str, noun: str) -> ApiError:
    """Return one answer for all: it doesn't exist, is someone else's, or its id isn't an id."""
    msg = f"there is no such {noun} here: check the id and whose it is"
    return ApiError(404, msg, (Fault(param, msg),))


def forbidden(param: str, msg: str) -> ApiError:
    """Refuse what a known key may not do. For what is someone else's, see `not_found`."""
    return ApiError(403, f"{param}: {msg}", (Fault(param, msg),))


def unauthorized(message: str) -> ApiError:
    return ApiError(401, message, headers={"WWW-Authenticate": "Bearer"})


def too_many_failures(seconds: float) -> ApiError:
    return ApiError(
        429,
        "too many requests from this address showed no valid key: wait, and check the key",
        headers={"Retry-After": str(math.ceil(seconds))},
    )


def too_much_refused(seconds: float) -> ApiError:
    return ApiError(
        429,
        "too many requests with this key were refused in the last minute: wait, and check "
        "the earlier answers",
        headers={"Retry-After": str(math.ceil(seconds))},
    )


def unavailable(message: str) -> ApiError:
    return ApiError(503, message, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def too_large(param: str, msg: str) -> ApiError:
    return ApiError(413, f"{param}: {msg}", (Fault(param, msg),))


# The path parameter that holds the id of each kind of object.
_PATH_PARAMS = {
    "workspace": "workspace_id",
    "connection": "connection_id",
    "rule": "rule_id",
    "event": "event_id",
    "key": "key_id",
    "session": "session_id",
}


def as_api_error(error: Exception) -> ApiError | None:
    """Return the answer to `error`; None for an error that wasn't expected."""
    for kind in type(error).__mro__:
        if kind in _ANSWERS:
            return _ANSWERS[kind](error)
    return None


def temporal_is_unavailable(error: Exception) -> bool:
    return isinstance(error, RPCError) and error.status in _UNAVAILABLE


_UNAVAILABLE = (
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.CANCELLED,
    RPCStatusCode.ABORTED,
    RPCStatusCode.INTERNAL,
    RPCStatusCode.UNKNOWN,
)


def _invalid_parameters(error: RequestValidationError) -> ApiError:
    """Answer faults of query and path parameters. Bodies are read by `starter.api.bodies`."""
    faults = tuple(Fault(str(found["loc"][-1]), problem(found)) for found in error.errors())
    first = faults[0]
    return ApiError(400, f"{first.param}: {first.msg}", faults)


def _of_a_field(error: Exception) -> ApiError:
    """Answer an error whose text starts with the name of the field at fault."""
    name, _, msg = str(error).partition(": ")
    answer = too_large if isinstance(error, domain.EventTooLarge | EventTooLarge) else bad_request
    return answer("body" if name == "input" else name, msg)


def _conflict(error: Exception) -> ApiError:
    return ApiError(409, str(error))


def _not_accepted(error: emit.NotAccepted) -> ApiError:
    if isinstance(error.__cause__, NotConnected):
        return unavailable("no Temporal server answers, so the event is not stored: send it again")
    return unavailable("Temporal did not accept the event: try again")


def _of_temporal(error: RPCError) -> ApiError | None:
    if temporal_is_unavailable(error):
        return unavailable("Temporal can't be asked now: try again")
    return None


# By the class of the error, or its nearest base class here.
_ANSWERS: dict[type, Callable[[Any], ApiError | None]] = {
    ApiError: lambda error: error,
    RequestValidationError: _invalid_parameters,
    HTTPException: lambda error: ApiError(
        error.status_code, str(error.detail), headers=dict(error.headers or {})
    ),
    catalog.InvalidValue: _of_a_field,
    domain.InvalidEvent: _of_a_field,
    emit.InvalidEvent: _of_a_field,
    InvalidCursor: _of_a_field,
    NotSearchable: _of_a_field,
    InvalidSelection: _of_a_field,
    catalog.NotFound: lambda error: not_found(_PATH_PARAMS.get(error.noun, error.noun), error.noun),
    EventNotFound: lambda _: not_found("event_id", "event or delivery"),
    emit.EventNotFound: lambda _: not_found("event_id", "event or delivery"),
    RedeliveryNotFound: lambda _: not_found("redelivery_id", "redelivery"),
    emit.IdempotencyConflict: lambda error: ApiError(
        409, str(error), (Fault("Idempotency-Key", str(error)),)
    ),
    catalog.SessionEnded: lambda error: ApiError(401, str(error)),
    catalog.Conflict: _conflict,
    AlreadyEnded: _conflict,
    Held: _conflict,
    NotRedeliverable: _conflict,
    NothingSelected: _conflict,
    AttemptImminent: lambda error: ApiError(425, str(error)),
    catalog.CatalogUnavailable: lambda _: unavailable(
        "the catalog's database can't be reached now: try again"
    ),
    catalog.CannotDecrypt: lambda error: ApiError(503, str(error)),
    emit.CannotDecode: lambda error: ApiError(503, f"the event can't be read here: {error}"),
    emit.InvalidSetup: lambda _: ApiError(
        503,
        "the server is set up in a way that Temporal accepts no events from it, so the event "
        "is not stored. Keep it until the server is fixed; its log says what is wrong",
    ),
    emit.NotAccepted: _not_accepted,
    RPCError: _of_temporal,
}
