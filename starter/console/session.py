"""Who has signed in: a signed cookie that names a machine key, and the tokens of its forms.

Nothing is stored here: the cookie is signed with a key made of the instance secret, ends by itself
after twelve hours, and is worth nothing once its machine key is revoked.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from catalog.api_key_lookup import MachineCaller

COOKIE = "emitonce_session"
FORM_COOKIE = "emitonce_form"
LASTS_SECONDS = 12 * 3600
FORM_SECONDS = 3600
LONGEST_COOKIE = 2_000

# The form field that every form carries.
TOKEN_FIELD = "csrf"  # noqa: S105 (a field's name)


class NoSession(Exception):
    """Nobody is signed in; `ended` when somebody was."""

    def __init__(self, *, ended: bool) -> None:
        super().__init__("the session has ended" if ended else "nobody is signed in")
        self.ended = ended


@dataclass(frozen=True)
class Session:
    """`key` is the machine key's id; `token` has to come back with every form."""

    key: str
    organisation: str
    access_key: str
    token: str


class Sessions:
    """`now` gives seconds since 1970; `public_url` is where people open the console."""

    def __init__(
        self,
        instance_secret: bytes,
        now: Callable[[], float] = time.time,
        *,
        public_url: str | None = None,
    ) -> None:
        self._key = hmac.digest(instance_secret, b"emitonce console session", "sha256")
        self._now = now
        self._public_url = public_url

    def begin(
        self, request: Request, response: Response, known: MachineCaller, access_key: str
    ) -> None:
        """Start a session by a cookie on `response`."""
        ends, nonce = int(self._now()) + LASTS_SECONDS, secrets.token_urlsafe(12)
        named = json.dumps([known.key, known.organisation, access_key, ends, nonce])
        value = _encode(named.encode())
        self._set(
            request, response, COOKIE, f"{value}.{self._sign('session', value)}", LASTS_SECONDS
        )

    def read(self, request: Request) -> Session:
        """Raises `NoSession`."""
        cookie = request.cookies.get(COOKIE, "")
        if not cookie:
            raise NoSession(ended=False)
        value, _, signature = cookie.partition(".")
        right = hmac.compare_digest(self._sign("session", value).encode(), signature.encode())
        if len(cookie) > LONGEST_COOKIE or not right:
            raise NoSession(ended=True)
        key, organisation, access_key, ends, _ = json.loads(_decode(value))
        if ends < self._now():
            raise NoSession(ended=True)
        return Session(key, organisation, access_key, self._sign("form", value))

    def end(self, response: Response) -> None:
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")

    def right_token(self, session: Session, given: str) -> bool:
        return hmac.compare_digest(session.token.encode(), given.encode())

    def begin_form(self, request: Request, response: Response) -> str:
        """Return a token for the sign-in form, which is shown before there is a session."""
        nonce = request.cookies.get(FORM_COOKIE, "")
        if not 16 <= len(nonce) <= 64 or not nonce.isascii():
            nonce = secrets.token_urlsafe(18)
        self._set(request, response, FORM_COOKIE, nonce, FORM_SECONDS)
        return self._sign("sign-in", nonce)

    def right_form_token(self, request: Request, given: str) -> bool:
        nonce = request.cookies.get(FORM_COOKIE, "")
        expected = self._sign("sign-in", nonce)
        return bool(nonce) and hmac.compare_digest(expected.encode(), given.encode())

    def from_here(self, request: Request) -> bool:
        """Say whether, by the browser's headers, a form was sent from a page of this site."""
        site = request.headers.get("sec-fetch-site", "same-origin")
        origin = request.headers.get("origin")
        if origin is None or self._public_url is None:
            same = origin is None or origin.partition("://")[2] == request.headers.get("host", "")
        else:
            same = origin == self._public_url
        return same and site in ("same-origin", "none")

    def is_https(self, request: Request) -> bool:
        """Say whether the cookie travels over TLS only.

        A proxy that isn't trusted is believed here, since it only makes the cookie stricter.
        """
        forwarded = request.headers.get("x-forwarded-proto", "").lower()
        public = (self._public_url or "").startswith("https://")
        return public or request.url.scheme == "https" or "https" in forwarded

    def _set(
        self, request: Request, response: Response, name: str, value: str, seconds: int
    ) -> None:
        response.set_cookie(
            name,
            value,
            max_age=seconds,
            path="/",
            httponly=True,
            samesite="strict",
            secure=self.is_https(request),
        )

    def _sign(self, purpose: str, value: str) -> str:
        message = f"{purpose}|{value}".encode()
        return _encode(hmac.digest(self._key, message, "sha256"))


def local_path(path: str | None) -> str:
    """Return `path` if it leads to a page of this site, else the start page."""
    if path and path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable():
        return path
    return "/"


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
