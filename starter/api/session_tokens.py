"""Access tokens of embedded sessions: JWTs that say all that the session may do.

A token is accepted only if it says exactly what the session is now. So one that was refreshed since
is stale, and one with a claim that this release doesn't know, which may narrow it, is refused.
"""

from __future__ import annotations

from typing import Any

import jwt

from catalog.embed_sessions import EmbedSession, EmbedSessions
from catalog.errors import NotFound
from emitonce.key_ring import KeyRing, UnknownKey
from starter.api.tokens import ALGORITHM, InvalidToken, header_of

ISSUER = AUDIENCE = "emitonce-embed"
# The longest origins, ten of them, have some 3,000 characters.
LONGEST_TOKEN = 8_192

_PURPOSE = b"embedded sessions"
_REFUSED = (
    "the session's access token has expired, was refreshed or revoked, or its signature does not "
    "fit: refresh the session"
)


class Ended(InvalidToken):
    """It was signed here, so it isn't an attempt to guess one."""


class SessionTokens:
    """Signs with a key derived from the credential key in use, verifies with those of any.

    That key is not among the secrets that other backends hold, which could forge sessions with it.
    """

    def __init__(self, sessions: EmbedSessions, ring: KeyRing) -> None:
        self._sessions = sessions
        self._ring = ring

    def sign(self, session: EmbedSession) -> str:
        key_id = self._ring.current or ""
        return jwt.encode(
            _claims(session),
            self._ring.derived(key_id, _PURPOSE),
            algorithm=ALGORITHM,
            headers={"kid": session.id, "key": key_id},
        )

    async def verify(self, token: str) -> EmbedSession:
        """Return the session. Raises `InvalidToken`, and `CatalogUnavailable`."""
        header = _header(token)
        try:
            claims = jwt.decode(
                token,
                self._ring.derived(str(header.get("key")), _PURPOSE),
                algorithms=[ALGORITHM],
                # The database's clock says when it expires.
                options={"verify_exp": False, "verify_iat": False, "verify_aud": False},
            )
        except (UnknownKey, jwt.InvalidTokenError, ValueError, RecursionError):
            raise InvalidToken(_REFUSED) from None
        try:
            session = await self._sessions.read(str(claims.get("sub")))
        except NotFound:
            session = None
        if session is None or claims != _claims(session):
            raise Ended(_REFUSED)
        return session


def is_of_session(token: str) -> bool:
    """Whether a bearer token says that it is one of a session."""
    return str(_header(token).get("kid", "")).startswith("sess_")


def _header(token: str) -> dict[str, Any]:
    return header_of(token) if len(token) <= LONGEST_TOKEN else {}


def _claims(session: EmbedSession) -> dict[str, Any]:
    expires = int(session.expires_at.timestamp())
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": session.id,
        "generation": session.generation,
        "workspace": session.workspace,
        "type": session.type,
        "role": session.role,
        "scopes": list(session.extra_scopes),
        "origins": session.origins and list(session.origins),
        "resource": session.resource,
        "resource_id": session.resource_id,
        "iat": expires - session.ttl_seconds,
        "exp": expires,
    }
