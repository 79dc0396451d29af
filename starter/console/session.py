"""Cookies of signed-in browsers, and the tokens that show that a form is one of this console's.

Sessions are kept in the catalog; the cookie holds only the id of one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response

from catalog.console_sessions import LASTS

COOKIE = "emitonce_signed_in"
FORM_COOKIE = "emitonce_form"
FORM_SECONDS = 3600
LONGEST_COOKIE = 100
LONGEST_KEPT = 3_500
# What a browser keeps while its person is at the provider of single sign-on.
SIGN_IN_COOKIE = "emitonce_sign_in"
SIGN_IN_SECONDS = 600
# The name of who has signed in there, which is kept nowhere else.
NAME_COOKIE = "emitonce_name"

# The form field that every form carries.
TOKEN_FIELD = "csrf"  # noqa: S105 (a field's name)


class NoSession(Exception):
    """Nobody is signed in; `ended` when someone was."""

    def __init__(self, *, ended: bool) -> None:
        super().__init__("the session has ended" if ended else "nobody is signed in")
        self.ended = ended


class Cookies:
    """Reads and sets the console's cookies. `public_url` is where people open it."""

    def __init__(self, public_url: str | None = None) -> None:
        self._public_url = public_url

    def read(self, request: Request) -> str:
        """Return the session's id from the request's cookie. Raises `NoSession`."""
        id = request.cookies.get(self._name(request, COOKIE), "")
        if not id or len(id) > LONGEST_COOKIE:
            raise NoSession(ended=bool(id))
        return id

    def set(self, request: Request, response: Response, id: str) -> None:
        self._set(request, response, COOKIE, id, int(LASTS.total_seconds()))

    def delete(self, request: Request, response: Response) -> None:
        for name in (COOKIE, NAME_COOKIE):
            self._set(request, response, name, "", 0)

    def keep(self, request: Request, response: Response, name: str, *values: Any) -> None:
        """Let the browser keep values of JSON."""
        value = base64.urlsafe_b64encode(json.dumps(values).encode()).decode()
        # Who comes from the provider brings no `strict` cookie.
        signing_in = name == SIGN_IN_COOKIE
        seconds = SIGN_IN_SECONDS if signing_in else int(LASTS.total_seconds())
        self._set(request, response, name, value, seconds, "lax" if signing_in else "strict")

    def kept(self, request: Request, name: str) -> list[Any]:
        """Return values that the browser has kept, an empty list if there are none."""
        value = request.cookies.get(self._name(request, name), "")
        try:
            found = json.loads(base64.urlsafe_b64decode(value[:LONGEST_KEPT]))
        except (ValueError, RecursionError):
            return []
        return found if isinstance(found, list) else []

    def drop(self, request: Request, response: Response, name: str) -> None:
        self._set(request, response, name, "", 0)

    def begin_form(self, request: Request, response: Response) -> str:
        """Return a token for the sign-in form, the only one shown before there is a session."""
        nonce = request.cookies.get(self._name(request, FORM_COOKIE), "")
        if not 16 <= len(nonce) <= 64 or not nonce.isascii():
            nonce = secrets.token_urlsafe(18)
        self._set(request, response, FORM_COOKIE, nonce, FORM_SECONDS)
        return token_of(nonce)

    def right_form_token(self, request: Request, given: str) -> bool:
        """Whether the sign-in form is ours.

        A browser that says where it comes from, which `from_here` has checked, needs no token: so a
        page that another release has shown is good, too.
        """
        if "origin" in request.headers:
            return True
        nonce = request.cookies.get(self._name(request, FORM_COOKIE), "")
        return bool(nonce) and right_token(nonce, given)

    def from_here(self, request: Request) -> bool:
        """Whether the browser says that a form was sent from a page of this same site."""
        site = request.headers.get("sec-fetch-site", "same-origin")
        origin = request.headers.get("origin")
        if origin is None or self._public_url is None:
            same = origin is None or origin.partition("://")[2] == request.headers.get("host", "")
        else:
            same = origin == self._public_url
        return same and site in ("same-origin", "none")

    def is_https(self, request: Request) -> bool:
        """Whether the cookie travels over TLS only.

        X-Forwarded-Proto is believed even from a proxy that isn't trusted, since it can only make
        the cookie stricter.
        """
        forwarded = request.headers.get("x-forwarded-proto", "").lower()
        public = (self._public_url or "").startswith("https://")
        return public or request.url.scheme == "https" or "https" in forwarded

    def _name(self, request: Request, name: str) -> str:
        """Return a cookie's name. Over TLS it has a prefix, so that no other host can set it."""
        return f"__Host-{name}" if self.is_https(request) else name

    def _set(
        self,
        request: Request,
        response: Response,
        name: str,
        value: str,
        seconds: int,
        samesite: Literal["strict", "lax"] = "strict",
    ) -> None:
        response.set_cookie(
            self._name(request, name),
            value,
            max_age=seconds,
            path="/",
            httponly=True,
            samesite=samesite,
            secure=self.is_https(request),
        )


def token_of(secret: str) -> str:
    """Return the token that a form must send back, made from what only the cookie holds."""
    digest = hashlib.sha256(f"form|{secret}".encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def right_token(secret: str, given: str) -> bool:
    return hmac.compare_digest(token_of(secret).encode(), given.encode())


def local_path(path: str | None) -> str:
    """Return `path` if it leads to a page of this site, else the start page."""
    if path and path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable():
        return path
    return "/"
