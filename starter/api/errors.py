"""What is answered when something can't be done: status, name, message, the parameters at fault.

`{"message": "Bad Request", "error": {"name", "message", "data": [{"param", "msg"}]}}` is Meshes'
own form. Which error of ours gives which status is decided here and nowhere else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from temporalio.service import RPCError, RPCStatusCode

import catalog.errors as catalog
import emitonce.errors as emit
from delivery import errors as domain
from delivery.cursor import InvalidCursor
from delivery.validation import problem
from emitonce.size import EventTooLarge
from engine.failing_fast import NotConnected
from eventlog.fetch import EventNotFound
from operations.bulk_redelivery import NothingSelected
from operations.redelivery_plan import NotRedeliverable
from operations.steering import AlreadyEnded, AttemptImminent, Held

RETRY_AFTER_SECONDS = 2

JsonObject = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """One parameter at fault: a field as a path such as `metadata.region`, a header, a query."""

    param: str
    msg: str


@dataclass
class ApiError(Exception):
    """Becomes an answer with `status`; `message` is one sentence for a person."""

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
    """As RFC 9110 has it, whatever this Python's own list says."""
    return {413: "Content Too Large", 422: "Unprocessable Content"}.get(
        status, HTTPStatus(status).phrase
    )


def bad_request(param: str, msg: str) -> ApiError:
    return ApiError(400, f"{param}: {msg}", (Fault(param, msg),))


def not_found(param: str, noun: str) -> ApiError:
    """The same for what doesn't exist, what is somebody else's and what is no id at all."""
    msg = f"there is no such {noun} here: check the id and whose it is"
    return ApiError(404, msg, (Fault(param, msg),))


def forbidden(param: str, msg: str) -> ApiError:
    """A known key may not do this; of what is somebody else's, nothing is told: see `not_found`."""
    return ApiError(403, f"{param}: {msg}", (Fault(param, msg),))


def unauthorized(message: str) -> ApiError:
    return ApiError(401, message, headers={"WWW-Authenticate": "Bearer"})


def too_many_failures(seconds: float) -> ApiError:
    return ApiError(
        429,
        "too many requests from this address showed no valid key: wait, and check the key",
        headers={"Retry-After": str(math.ceil(seconds))},
    )


def unavailable(message: str) -> ApiError:
    return ApiError(503, message, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def too_large(param: str, msg: str) -> ApiError:
    return ApiError(413, f"{param}: {msg}", (Fault(param, msg),))


# Which parameter names a thing of the catalog where a request speaks of it in its path.
_PATH_PARAMS = {
    "workspace": "workspace_id",
    "connection": "connection_id",
    "rule": "rule_id",
    "event": "event_id",
    "key": "key_id",
}


def as_api_error(error: Exception) -> ApiError | None:
    """What `error` is answered with; None for one that nobody expected."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, RequestValidationError):
        return _invalid_parameters(error)
    if isinstance(error, HTTPException):
        return ApiError(error.status_code, str(error.detail), headers=dict(error.headers or {}))
    return _of_ours(error)


def _of_ours(error: Exception) -> ApiError | None:
    if isinstance(error, catalog.InvalidValue):
        return bad_request(error.field, error.problem)
    if isinstance(error, domain.InvalidEvent):
        answer = too_large if isinstance(error, domain.EventTooLarge) else bad_request
        return answer("body" if error.field == "input" else error.field, error.reason)
    if isinstance(error, InvalidCursor):
        return bad_request("cursor", str(error).removeprefix("cursor: "))
    if isinstance(error, catalog.NotFound):
        return not_found(_PATH_PARAMS.get(error.noun, error.noun), error.noun)
    if isinstance(error, EventNotFound | emit.EventNotFound):
        return not_found("event_id", "event or delivery")
    if isinstance(error, emit.IdempotencyConflict):
        return ApiError(409, str(error), (Fault("Idempotency-Key", str(error)),))
    if isinstance(error, AttemptImminent):
        return ApiError(425, str(error))
    if isinstance(
        error, catalog.Conflict | AlreadyEnded | Held | NotRedeliverable | NothingSelected
    ):
        return ApiError(409, str(error))
    if isinstance(error, emit.InvalidEvent):
        field_name, _, msg = str(error).partition(": ")
        answer = too_large if isinstance(error, EventTooLarge) else bad_request
        return answer(field_name, msg)
    if isinstance(error, catalog.CatalogUnavailable):
        return unavailable("the catalog's database can't be reached now: try again")
    if isinstance(error, emit.CannotDecode):
        return ApiError(503, f"the event can't be read here: {error}")
    if isinstance(error, emit.NotAccepted) and isinstance(error.__cause__, NotConnected):
        return unavailable("no Temporal server answers, so the event is not stored: send it again")
    if isinstance(error, emit.InvalidSetup):
        return ApiError(
            503,
            "the server is set up in a way that Temporal accepts no events from it, so the event "
            "is not stored. Keep it until the server is fixed; its log says what is wrong",
        )
    if isinstance(error, emit.NotAccepted):
        return unavailable("Temporal did not accept the event: try again")
    if temporal_is_unavailable(error):
        return unavailable("Temporal can't be asked now: try again")
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
    """Query and path parameters; bodies are read by `starter.api.bodies`."""
    faults = tuple(Fault(str(found["loc"][-1]), problem(found)) for found in error.errors())
    first = faults[0]
    return ApiError(400, f"{first.param}: {first.msg}", faults)
