"""Emit events over HTTP: for backends that reach emitonce's API and not its Temporal cluster.

    key = MachineKey(organization, access_key, secret_key)
    with HTTPEmitter("https://emitonce.internal", token=key, workspace=workspace) as emitter:
        event = emitter.emit("user.signup", {"userId": "usr_2048", "plan": "pro"})

`AsyncHTTPEmitter` is the same with `await`. Both try again when the API is unavailable or busy,
which is safe: every try carries the same idempotency key, the caller's or one made for the event.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from emitonce.accepted import AcceptedEvent
from emitonce.answer import accepted_event, no_answer
from emitonce.errors import EmitError, InvalidSetup, NotAccepted
from emitonce.event import (
    NewEvent,
    check_idempotency_key,
    checked_fields,
    encode,
    own_workspace,
)
from emitonce.machine_key import MachineKey
from emitonce.many import emit_each, emit_each_async
from emitonce.protocol import AsyncEmitter, BlockingEmitter

EVENTS_PATH = "/api/v1/events"
TIMEOUT_SECONDS = 10.0
TRIES = 4
LONGEST_WAIT_SECONDS = 10.0

_HEADER_VALUE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class _Settings:
    url: str
    headers: Mapping[str, str]
    token: Callable[[], str] | None
    workspace: str | uuid.UUID | None
    tries: int

    def headers_for(self, idempotency_key: str) -> dict[str, str]:
        headers = {**self.headers, "Idempotency-Key": idempotency_key}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {_header_value('token', self.token())}"
        return headers


class HTTPEmitter(BlockingEmitter):
    """Blocking; one for a process. Threads may share it, and so may processes forked from it."""

    def __init__(
        self,
        url: str | None = None,
        *,
        publishable_key: str | None = None,
        token: Callable[[], str] | None = None,
        workspace: str | uuid.UUID | None = None,
        timeout: float = TIMEOUT_SECONDS,
        tries: int = TRIES,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`url` is the API's, without a path (`EMITONCE_URL` where absent).

        `token` is a `MachineKey`, or whatever makes a machine's JWT: it is called before every
        try. Events which name no workspace then have this `workspace` (`EMITONCE_WORKSPACE` where
        absent). A `publishable_key` stands for one workspace; everyone who opens a page with it
        can use it. Where neither is given, the environment has one of them: a machine key's
        `EMITONCE_ORGANIZATION`, `EMITONCE_ACCESS_KEY` and `EMITONCE_SECRET_KEY`, or
        `EMITONCE_PUBLISHABLE_KEY`. `timeout` in seconds is that of one try.

        Raises:
            InvalidSetup: URL or key are missing, or can't be those.
        """
        self._settings = _settings(url, publishable_key, token, workspace, tries)
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
        resource: str | None = "global",
        resource_id: str | None = None,
        timestamp: datetime | str | None = None,
        idempotency_key: str | None = None,
    ) -> AcceptedEvent:
        """See `BlockingEmitter.emit`. A publishable key stands for one workspace."""
        return self._emit(
            NewEvent(event, payload, workspace, resource, resource_id, timestamp, idempotency_key)
        )

    def emit_many(self, events: Iterable[NewEvent]) -> list[AcceptedEvent | EmitError]:
        """See `BlockingEmitter.emit_many`."""
        return emit_each(self._emit, events)

    def _emit(self, new: NewEvent) -> AcceptedEvent:
        body, key = _body(new, self._settings.workspace), _key(new.idempotency_key)
        for number in range(1, self._settings.tries):
            try:
                return self._post(body, key)
            except NotAccepted as err:
                time.sleep(_wait(number, err.retry_after))
        return self._post(body, key)

    def _post(self, body: bytes, key: str) -> AcceptedEvent:
        headers = self._settings.headers_for(key)
        try:
            answer = self._http().post(EVENTS_PATH, content=body, headers=headers)
        except httpx.HTTPError as err:
            raise no_answer(err) from err
        return accepted_event(answer)

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


class AsyncHTTPEmitter(AsyncEmitter):
    """The same for an event loop; one for a process."""

    def __init__(
        self,
        url: str | None = None,
        *,
        publishable_key: str | None = None,
        token: Callable[[], str] | None = None,
        workspace: str | uuid.UUID | None = None,
        timeout: float = TIMEOUT_SECONDS,
        tries: int = TRIES,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """See `HTTPEmitter`."""
        self._settings = _settings(url, publishable_key, token, workspace, tries)
        self._http = httpx.AsyncClient(
            base_url=self._settings.url, timeout=timeout, transport=transport
        )

    async def emit(
        self,
        event: str,
        payload: Mapping[str, Any],
        *,
        workspace: str | uuid.UUID | None = None,
        resource: str | None = "global",
        resource_id: str | None = None,
        timestamp: datetime | str | None = None,
        idempotency_key: str | None = None,
    ) -> AcceptedEvent:
        """See `HTTPEmitter.emit`."""
        return await self._emit(
            NewEvent(event, payload, workspace, resource, resource_id, timestamp, idempotency_key)
        )

    async def emit_many(self, events: Iterable[NewEvent]) -> list[AcceptedEvent | EmitError]:
        """See `BlockingEmitter.emit_many`."""
        return await emit_each_async(self._emit, events)

    async def _emit(self, new: NewEvent) -> AcceptedEvent:
        body, key = _body(new, self._settings.workspace), _key(new.idempotency_key)
        for number in range(1, self._settings.tries):
            try:
                return await self._post(body, key)
            except NotAccepted as err:
                await asyncio.sleep(_wait(number, err.retry_after))
        return await self._post(body, key)

    async def _post(self, body: bytes, key: str) -> AcceptedEvent:
        headers = self._settings.headers_for(key)
        try:
            answer = await self._http.post(EVENTS_PATH, content=body, headers=headers)
        except httpx.HTTPError as err:
            raise no_answer(err) from err
        return accepted_event(answer)

    async def aclose(self) -> None:
        await self._http.aclose()


def _settings(
    url: str | None,
    publishable_key: str | None,
    token: Callable[[], str] | None,
    workspace: str | uuid.UUID | None,
    tries: int,
) -> _Settings:
    url = url or os.environ.get("EMITONCE_URL")
    if not url:
        raise InvalidSetup("the API's address is missing: pass url, or set EMITONCE_URL")
    try:
        read = httpx.URL(url)
    except httpx.InvalidURL as err:
        raise InvalidSetup(f"EMITONCE_URL: {err}") from None
    if read.scheme not in ("http", "https") or not read.host or not _is_port(read.port):
        raise InvalidSetup("EMITONCE_URL: must read like https://emitonce.internal")
    headers = {"Content-Type": "application/json"}
    if token is None and not publishable_key:
        token, publishable_key = _key_of_environment()
    if publishable_key and token is None:
        headers["X-Meshes-Publishable-Key"] = _header_value("publishable_key", publishable_key)
    else:
        workspace = workspace or os.environ.get("EMITONCE_WORKSPACE")
    return _Settings(url.rstrip("/"), headers, token, own_workspace(workspace), max(tries, 1))


def _key_of_environment() -> tuple[MachineKey | None, str | None]:
    machine_key = MachineKey.from_environment()
    publishable_key = os.environ.get("EMITONCE_PUBLISHABLE_KEY")
    if machine_key is None and not publishable_key:
        raise InvalidSetup(
            "a key is missing: pass token, or set a machine key's EMITONCE_ORGANIZATION, "
            "EMITONCE_ACCESS_KEY and EMITONCE_SECRET_KEY (a page's key: EMITONCE_PUBLISHABLE_KEY)"
        )
    if machine_key is not None and publishable_key:
        # They don't share idempotency keys, so which one is used matters: neither is a default.
        raise InvalidSetup("EMITONCE_ACCESS_KEY and EMITONCE_PUBLISHABLE_KEY are set: set only one")
    return machine_key, publishable_key


def _is_port(number: int | None) -> bool:
    """None is the scheme's own."""
    return number is None or 0 < number < 65_536


def _header_value(name: str, text: str) -> str:
    if not _HEADER_VALUE.fullmatch(text):
        raise InvalidSetup(f"{name}: holds a blank, a line break or a character beyond ASCII")
    return text


def _body(new: NewEvent, workspace: str | uuid.UUID | None) -> bytes:
    fields = checked_fields(new, workspace)
    return encode({name: value for name, value in fields.items() if value is not None})


def _key(given: str | None) -> str:
    """The idempotency key of every try: the caller's, else one made for the event."""
    check_idempotency_key(given, in_header=True)
    return str(uuid.uuid4()) if given is None else given


def _wait(number: int, retry_after: float | None) -> float:
    if retry_after is not None:
        return min(retry_after, LONGEST_WAIT_SECONDS)
    longest: float = min(0.2 * 2.0**number, LONGEST_WAIT_SECONDS)
    return longest * (0.5 + random.random() / 2)  # noqa: S311  spreading, not keeping secrets
