"""Find out who is calling, before anything else of a request is read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial

from starlette.requests import Request

from catalog.api_key_lookup import APIKeyLookup, PublishableCaller
from catalog.embed_sessions import EmbedSession
from catalog.errors import NotFound
from catalog.quotas import Quota
from catalog.scopes import EMIT, in_order
from starter.api.embedding import may_come_from
from starter.api.errors import (
    ApiError,
    Fault,
    forbidden,
    not_found,
    too_many_failures,
    unauthorized,
)
from starter.api.failed_attempts import FailedAttempts
from starter.api.session_tokens import Ended, SessionTokens, is_of_session
from starter.api.tokens import InvalidToken, NamesNoKey, verify_token

PUBLISHABLE_HEADER = "x-meshes-publishable-key"

_PUBLISHABLE_KEY = re.compile(r"mesh_pub_[A-Za-z0-9\-.]{1,64}_[A-Za-z0-9\-.]{1,64}_[^_]{1,128}")


@dataclass(frozen=True)
class Caller:
    """The key of a request: `workspace` is set for a publishable key, `organization` for a machine
    key, both for an embedded session.

    `key` is the key's id, or the session's, shown as `created_by` of what it creates; in the
    console it may be a user's. `scopes` say what it may do. `holder` names, for error messages,
    what has them. `publishable` has the rest of a publishable key, and `session` that of a session.
    `quota` is the key's own. `hops` counts the webhooks of emitonce that led to the request.
    """

    key: str
    scopes: frozenset[str]
    organization: str | None = None
    workspace: str | None = None
    publishable: PublishableCaller | None = None
    session: EmbedSession | None = None
    quota: Quota = field(default_factory=Quota)
    hops: int = 0
    holder: str = "this key"

    @property
    def is_browser(self) -> bool:
        """Whether anyone who looks at a page may be calling, rather than a backend."""
        return self.publishable is not None or self.session is not None

    def require(self, scope: str) -> None:
        """Raises `ApiError` 403 unless the key has the scope."""
        if scope not in self.scopes:
            has = ", ".join(in_order(self.scopes)) or "none"
            msg = f"{self.holder} lacks the scope {scope}: it has {has}"
            raise ApiError(403, msg, (Fault("Authorization", msg),))


class Authentication:
    """Raises `ApiError` 401 for a wrong key; 429 once an address has shown too many of them.

    While the database is unavailable, keys that were valid shortly before may still emit events,
    and do nothing else.
    """

    def __init__(self, keys: APIKeyLookup, sessions: SessionTokens, failed: FailedAttempts) -> None:
        self._keys = keys
        self._sessions = sessions
        self._failed = failed

    async def machine(self, request: Request, *, unchecked: bool = False) -> Caller:
        """Return the caller that a bearer token stands for. Everything but ingestion needs one."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise unauthorized("a machine token is needed: Authorization: Bearer <token>")
        if is_of_session(token.strip()):
            return await self._session(request, token.strip())
        try:
            known = await verify_token(
                token.strip(), partial(self._keys.machine, unchecked=unchecked)
            )
        except InvalidToken as err:
            if not isinstance(err, NamesNoKey):
                self._count_failure(request)
            raise unauthorized(str(err)) from None
        self._keys.uses.note(known.key)
        return Caller(known.key, known.scopes, known.organization, quota=known.quota)

    async def any_key(self, request: Request) -> Caller:
        """Return the caller by a publishable key or, without one, a bearer token. For ingestion."""
        public_key = request.headers.get(PUBLISHABLE_HEADER)
        if public_key is None:
            if "authorization" in request.headers:
                return await self.machine(request, unchecked=True)
            raise unauthorized(
                "a key is needed: X-Meshes-Publishable-Key, or Authorization: Bearer <token>"
            )
        if not _PUBLISHABLE_KEY.fullmatch(public_key) or "\0" in public_key:
            raise unauthorized("this is not a publishable key: one looks like mesh_pub_…_…_…")
        try:
            known = await self._keys.publishable(public_key)
        except NotFound:
            self._count_failure(request)
            raise unauthorized("the publishable key is unknown or revoked") from None
        if not known.rights.may_come_from(request.headers.getlist("origin")):
            raise forbidden("Origin", "is not one that this publishable key may be used from")
        return Caller(
            known.key,
            frozenset((EMIT,)),
            workspace=known.workspace,
            publishable=known,
            quota=known.quota,
        )

    async def _session(self, request: Request, token: str) -> Caller:
        try:
            session = await self._sessions.verify(token)
        except InvalidToken as err:
            if not isinstance(err, Ended):
                self._count_failure(request)
            raise unauthorized(str(err)) from None
        if not may_come_from(request, session, request.headers.getlist("origin")):
            raise forbidden("Origin", "is not one that this session may be used from")
        return Caller(
            session.id,
            session.may,
            session.organization,
            session.workspace,
            session=session,
            holder="this session",
        )

    def _count_failure(self, request: Request) -> None:
        seconds = self._failed.failed(request.client.host if request.client else "")
        if seconds > 0:
            raise too_many_failures(seconds)

    async def require_workspace(
        self, caller: Caller, workspace: str, param: str, *, unchecked: bool = False
    ) -> str:
        """Return the workspace's id if the caller may act in it; else raise `ApiError` 404."""
        if caller.workspace is not None:
            if workspace.lower() == caller.workspace:
                return caller.workspace
            raise not_found(param, "workspace")
        try:
            return await self._keys.require_workspace(
                caller.organization or "", workspace, unchecked=unchecked
            )
        except NotFound:
            raise not_found(param, "workspace") from None
