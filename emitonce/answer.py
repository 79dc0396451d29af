"""What an answer over HTTP says: the accepted event, or an error typed by what to do about it."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from emitonce.accepted import AcceptedEvent
from emitonce.errors import (
    EmitError,
    IdempotencyConflict,
    InvalidEvent,
    InvalidSetup,
    NotAccepted,
    NotAllowed,
)

_TOO_LARGE = 413  # by a proxy too: it is this event that doesn't fit
_CHECK_URL = "check EMITONCE_URL, and whether a proxy stands in between"
# How OpenSSL puts it, by its version: what came first was not TLS.
_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST")


def accepted_event(answer: httpx.Response) -> AcceptedEvent:
    """The event as it was created. Raises an `EmitError` for any other answer."""
    if not answer.is_success:
        raise _refusal(answer)
    try:
        created = answer.json()["event"]
        return AcceptedEvent(
            id=created["id"],
            event=created["event"],
            workspace=created["workspace"],
            created_at=datetime.fromisoformat(created["created_at"].replace("Z", "+00:00")),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InvalidSetup(f"{_foreign(answer)}; {_CHECK_URL}") from None


def no_answer(error: httpx.HTTPError) -> EmitError:
    """The error for a request that nobody answered."""
    if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return InvalidSetup(f"the request can't be sent: {error}")
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return InvalidSetup(
                f"the API's certificate is not trusted: {cause.verify_message}; {_CHECK_URL}"
            )
        if isinstance(cause, ssl.SSLError) and cause.reason in _NOT_TLS:
            return InvalidSetup(f"what answers does not speak TLS; {_CHECK_URL}")
        cause = cause.__cause__ or cause.__context__
    return NotAccepted(f"the API can't be reached: {type(error).__name__}")


def _refusal(answer: httpx.Response) -> EmitError:
    status, said = answer.status_code, _own_message(answer)
    if status in (408, 425, 429) or status >= 500:
        why = said or f"answered {status}"
        return NotAccepted(f"the API did not accept the event: {why}", _retry_after(answer))
    if status in (401, 403):
        return NotAllowed(said or f"{_foreign(answer)}; check the key and EMITONCE_URL")
    if status == _TOO_LARGE:
        return InvalidEvent(said or "body: is larger than a proxy lets through; send less")
    if said is None:
        return InvalidSetup(f"{_foreign(answer)}{_moved_to(answer)}; {_CHECK_URL}")
    if status == 409:
        return IdempotencyConflict(said)
    if status in (400, 422):
        return InvalidEvent(said)
    return InvalidSetup(f"the API answered {status}: {said}; {_CHECK_URL}")


def _own_message(answer: httpx.Response) -> str | None:
    """The API's own sentence; None when someone else has answered."""
    try:
        error: Any = answer.json()["error"]
        name, message = error["name"], error["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return message if isinstance(name, str) and isinstance(message, str) else None


def _foreign(answer: httpx.Response) -> str:
    url = answer.request.url
    kind = answer.headers.get("content-type", "nothing").partition(";")[0]
    return f"{url.scheme}://{url.netloc.decode()} answered {answer.status_code} with {kind[:40]}"


def _moved_to(answer: httpx.Response) -> str:
    """Where a redirect points, without path and query, which may hold what is secret."""
    if not answer.has_redirect_location:
        return ""
    try:
        to = answer.request.url.join(answer.headers["location"])
    except httpx.InvalidURL:
        return ""
    return f", a redirect to {to.scheme}://{to.netloc.decode()}, and redirects are not followed"


def _retry_after(answer: httpx.Response) -> float | None:
    """Seconds; the header holds them, or a date."""
    text = answer.headers.get("retry-after", "")
    if text.isdecimal():
        return float(text)
    try:
        return max((parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None
