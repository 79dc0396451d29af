"""Emit events over HTTP: for backends that reach emitonce's API and not its Temporal cluster.

    with HTTPEmitter("https://emitonce.internal", publishable_key="mesh_pub_…") as emitter:
        event = emitter.emit("user.signup", {"userId": "usr_2048", "plan": "pro"})

`AsyncHTTPEmitter` is the same with `await`. Both try again when the API is away or busy, which is
safe: every try carries the same idempotency key, the caller's or one made for the event.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import httpx

from emitonce.errors import (
    EmitError,
    IdempotencyConflict,
    InvalidEvent,
    NotAccepted,
    NotAllowed,
)

EVENTS_PATH = "/api/v1/events"
TIMEOUT_SECONDS = 10.0
TRIES = 4
LONGEST_WAIT_SECONDS = 10.0

_AWAY_FOR_NOW = (408, 425, 429, 500, 502, 503, 504)
_NOT_ALLOWED = (401, 403)


@dataclass(frozen=True)
class AcceptedEvent:
    """An event that emitonce has stored: it will be delivered."""

    id: str
    event: str
    workspace: str
    created_at: datetime


@dataclass(frozen=True)
class _Settings:
    url: str
    headers: Mapping[str, str]
    token: Callable[[], str] | None
    tries: int

    def headers_for(self, idempotency_key: str) -> dict[str, str]:
        headers = {**self.headers, "Idempotency-Key": idempotency_key}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token()}"
        return headers


class HTTPEmitter:
    """Blocking; one for a process. Threads may share it, and so may processes forked from it."""

    def __init__(
        self,
        url: str | None = None,
        *,
        publishable_key: str | None = None,
        token: Callable[[], str] | None = None,
        timeout: float = TIMEOUT_SECONDS,
        tries: int = TRIES,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`url` is the API's, without a path (`EMITONCE_URL` where absent).

        Either `publishable_key` (`EMITONCE_PUBLISHABLE_KEY` where absent), which stands for one
        workspace, or `token`, which is asked for a machine's JWT before every try. `timeout` in
        seconds is that of one try.

        Raises:
            EmitError: URL or key are missing.
        """
        self._settings = _settings(url, publishable_key, token, tries)
        self._timeout, self._transport = timeout, transport
        self._client: httpx.Client | None = None
        self._process = 0
        self._lock = threading.Lock()

    def emit(
        self,
        event: str,
        payload: Mapping[str, Any],
        *,
        workspace: str | uuid.UUID | None = None,
        resource: str | None = None,
        resource_id: str | None = None,
        timestamp: datetime | str | None = None,
        idempotency_key: str | None = None,
    ) -> AcceptedEvent:
        """Emit one event; when this returns, it is stored and will be delivered.

        `workspace` is needed with a machine's token only. `timestamp` is when it happened, with a
        time zone; now, when absent. The same `idempotency_key` and body give the same event.

        Raises:
            InvalidEvent: the event can't be read, or is too large.
            IdempotencyConflict: the key came with another body before.
            NotAllowed: the key or token is not taken.
            NotAccepted: the API did not answer, or could not store it; nothing is known to be
                stored, and emitting it again with the same idempotency key is safe.
        """
        body = _body(event, payload, workspace, resource, resource_id, timestamp)
        key = idempotency_key or str(uuid.uuid4())
        for number in range(1, self._settings.tries + 1):
            try:
                answer = self._http().post(
                    EVENTS_PATH, content=body, headers=self._settings.headers_for(key)
                )
                told: httpx.Response | httpx.HTTPError = answer
            except httpx.HTTPError as err:
                told = err
            judged = _judge(told, last=number == self._settings.tries, number=number)
            if isinstance(judged, AcceptedEvent):
                return judged
            time.sleep(judged)
        raise AssertionError("unreachable: the last try is judged as such")

    def _http(self) -> httpx.Client:
        """Of this process: connections of the one it was forked from are the other's."""
        with self._lock:
            if self._client is None or self._process != os.getpid():
                self._process = os.getpid()
                self._client = httpx.Client(
                    base_url=self._settings.url, timeout=self._timeout, transport=self._transport
                )
            return self._client

    def close(self) -> None:
        if self._client is not None and self._process == os.getpid():
            self._client.close()
        self._client = None

    def __enter__(self) -> HTTPEmitter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncHTTPEmitter:
    """The same for an event loop; one for a process."""

    def __init__(
        self,
        url: str | None = None,
        *,
        publishable_key: str | None = None,
        token: Callable[[], str] | None = None,
        timeout: float = TIMEOUT_SECONDS,
        tries: int = TRIES,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """See `HTTPEmitter`."""
        self._settings = _settings(url, publishable_key, token, tries)
        self._http = httpx.AsyncClient(
            base_url=self._settings.url, timeout=timeout, transport=transport
        )

    async def emit(
        self,
        event: str,
        payload: Mapping[str, Any],
        *,
        workspace: str | uuid.UUID | None = None,
        resource: str | None = None,
        resource_id: str | None = None,
        timestamp: datetime | str | None = None,
        idempotency_key: str | None = None,
    ) -> AcceptedEvent:
        """See `HTTPEmitter.emit`."""
        body = _body(event, payload, workspace, resource, resource_id, timestamp)
        key = idempotency_key or str(uuid.uuid4())
        for number in range(1, self._settings.tries + 1):
            try:
                answer = await self._http.post(
                    EVENTS_PATH, content=body, headers=self._settings.headers_for(key)
                )
                told: httpx.Response | httpx.HTTPError = answer
            except httpx.HTTPError as err:
                told = err
            judged = _judge(told, last=number == self._settings.tries, number=number)
            if isinstance(judged, AcceptedEvent):
                return judged
            await asyncio.sleep(judged)
        raise AssertionError("unreachable: the last try is judged as such")

    async def aclose(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> AsyncHTTPEmitter:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


def _settings(
    url: str | None,
    publishable_key: str | None,
    token: Callable[[], str] | None,
    tries: int,
) -> _Settings:
    url = url or os.environ.get("EMITONCE_URL")
    if not url:
        raise EmitError("the API's address is missing: pass url, or set EMITONCE_URL")
    if token is None:
        publishable_key = publishable_key or os.environ.get("EMITONCE_PUBLISHABLE_KEY")
        if not publishable_key:
            raise EmitError(
                "a key is missing: pass publishable_key or token, or set EMITONCE_PUBLISHABLE_KEY"
            )
    headers = {"Content-Type": "application/json"}
    if token is None and publishable_key is not None:
        headers["X-Meshes-Publishable-Key"] = publishable_key
    return _Settings(url.rstrip("/"), headers, token, max(tries, 1))


def _body(
    event: str,
    payload: Mapping[str, Any],
    workspace: str | uuid.UUID | None,
    resource: str | None,
    resource_id: str | None,
    timestamp: datetime | str | None,
) -> bytes:
    if isinstance(timestamp, datetime):
        if timestamp.tzinfo is None:
            raise InvalidEvent("timestamp: has no time zone; use datetime.now(timezone.utc)")
        timestamp = timestamp.astimezone(UTC).isoformat(timespec="milliseconds")
    optional = {
        "workspace": None if workspace is None else str(workspace),
        "resource": resource,
        "resource_id": resource_id,
        "timestamp": timestamp,
    }
    given = {name: value for name, value in optional.items() if value is not None}
    try:
        return json.dumps(
            {"event": event, "payload": dict(payload), **given}, allow_nan=False
        ).encode()
    except (TypeError, ValueError, RecursionError) as err:
        raise InvalidEvent(f"payload: is not JSON: {err}") from None


def _judge(
    told: httpx.Response | httpx.HTTPError, *, last: bool, number: int
) -> AcceptedEvent | float:
    """The event when it was taken; else how many seconds to wait before the next try."""
    if isinstance(told, httpx.HTTPError):
        if last:
            raise NotAccepted(f"the API can't be reached: {type(told).__name__}") from told
        return _wait(number, None)
    if told.is_success:
        created = told.json()["event"]
        return AcceptedEvent(
            id=created["id"],
            event=created["event"],
            workspace=created["workspace"],
            created_at=datetime.fromisoformat(created["created_at"].replace("Z", "+00:00")),
        )
    if told.status_code in _AWAY_FOR_NOW and not last:
        return _wait(number, told.headers.get("retry-after"))
    message = _message(told)
    if told.status_code in _AWAY_FOR_NOW:
        raise NotAccepted(f"the API did not take the event: {message}")
    if told.status_code in _NOT_ALLOWED:
        raise NotAllowed(message)
    if told.status_code == 409:
        raise IdempotencyConflict(message)
    raise InvalidEvent(message)


def _message(answer: httpx.Response) -> str:
    """The API's own sentence, else what stands in for it: a proxy may have answered."""
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"answered with {answer.status_code}"


def _wait(number: int, retry_after: str | None) -> float:
    if retry_after is not None and retry_after.isdigit():
        return min(float(retry_after), LONGEST_WAIT_SECONDS)
    longest: float = min(0.2 * 2.0**number, LONGEST_WAIT_SECONDS)
    return longest * (0.5 + random.random() / 2)  # noqa: S311  spreading, not keeping secrets
