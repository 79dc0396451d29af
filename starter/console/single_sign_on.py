"""Find out who someone is by OpenID Connect: the authorization code flow with PKCE.

The tokens are read once and kept nowhere. Only algorithms with a public key are accepted, so that
neither `none` nor the client's own secret can sign an ID token.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus, urlencode

import jwt
import structlog
from pydantic import SecretStr

from catalog.console_sessions import LASTS
from catalog.scopes import scopes_of_roles
from destinations.http.errors import NoReply
from destinations.http.exchange import Http, read_url

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
# The page that the provider leads back to.
CALLBACK = "/sign-in/callback"
# How far the provider's clock may be from ours.
SKEW_SECONDS = 60
# For how long the provider's addresses and keys are known, and how often it is asked for keys that
# aren't.
METADATA_SECONDS = 3_600.0
KEYS_SECONDS = 60.0
LARGEST_ANSWER = 512 * 1024
LONGEST_TOKEN = 64 * 1024
LONGEST_NAME = 80

log = structlog.get_logger("starter.console")


class NotIdentified(Exception):
    """The message says to a person why nobody is signed in. It holds nothing of the tokens."""


class ProviderUnavailable(NotIdentified):
    def __init__(self) -> None:
        super().__init__("The sign-in service can't be reached now. Try again.")


@dataclass(frozen=True)
class Client:
    """This console as the provider knows it.

    `issuer` is the provider's name for itself, and `redirect_url` the page that it leads back to.
    `roles_claim` is the claim that says who may do what, and `roles` says what its values stand
    for: names of roles, separated by blanks. Without `roles` the values are names of roles.
    """

    issuer: str
    id: str
    redirect_url: str
    secret: SecretStr | None = None
    scopes: str = "openid profile"
    roles_claim: str = "roles"
    roles: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Identity:
    """Who someone is. `name` is for their own eyes; `scopes` are what they may do, maybe nothing.

    `signed_in_ago` is when they last proved to the provider who they are, None if it doesn't say.
    """

    subject: str = field(repr=False)
    name: str = field(repr=False)
    scopes: frozenset[str]
    signed_in_ago: timedelta | None


@dataclass(frozen=True)
class Attempt:
    """One attempt to sign in. All that binds its steps together is made of a secret that only the
    browser keeps: what the provider returns fits no other browser, and no other attempt."""

    secret: str = field(repr=False)

    @property
    def state(self) -> str:
        return self._made("state")

    @property
    def nonce(self) -> str:
        return self._made("nonce")

    @property
    def verifier(self) -> str:
        return self._made("verifier")

    def _made(self, purpose: str) -> str:
        return _base64url(hashlib.sha256(f"{purpose}|{self.secret}".encode()).digest())


class SingleSignOn:
    """Speaks with one provider, over `http`."""

    def __init__(self, client: Client, http: Http) -> None:
        self.client = client
        self._http = http
        self._metadata: dict[str, Any] = {}
        self._metadata_until = 0.0
        self._keys: list[jwt.PyJWK] = []
        self._keys_at = float("-inf")

    async def check(self) -> None:
        """Ask the provider for everything that a sign-in needs. Raises `ProviderUnavailable`."""
        for name in ("authorization_endpoint", "token_endpoint"):
            await self._address(name)
        status, _ = await self._ask("GET", await self._address("jwks_uri"))
        if status != 200:
            raise ProviderUnavailable

    async def url(self, attempt: Attempt, *, again: bool) -> str:
        """Return where to send a browser. With `again`, people have to sign in there again.

        Raises:
            ProviderUnavailable: the provider doesn't say where.
        """
        challenge = _base64url(hashlib.sha256(attempt.verifier.encode()).digest())
        asked = {
            "response_type": "code",
            "client_id": self.client.id,
            "redirect_uri": self.client.redirect_url,
            "scope": self.client.scopes,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            # A provider that gets `max_age` has to say when people signed in (`auth_time`).
            "max_age": "0" if again else f"{LASTS.total_seconds():.0f}",
            **({"prompt": "login"} if again else {}),
        }
        where = await self._address("authorization_endpoint")
        return f"{where}{'&' if '?' in where else '?'}{urlencode(asked)}"

    async def identify(self, attempt: Attempt, answer: Mapping[str, str]) -> Identity:
        """Return who has signed in, by what the provider has sent the browser back with.

        Raises:
            NotIdentified: something is wrong with it; the message says what, in words.
        """
        if not hmac.compare_digest(answer.get("state", "").encode(), attempt.state.encode()):
            raise _not("This sign-in was started in another browser, or too long ago. Try again.")
        if answer.get("iss", self.client.issuer) != self.client.issuer:
            raise _not("The answer came from another sign-in service.")
        if "error" in answer or not answer.get("code"):
            raise _not("The sign-in service did not sign you in.")
        token = await self._exchange(answer["code"], attempt.verifier)
        claims = await self._claims(token)
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), attempt.nonce.encode()):
            raise _not("The sign-in service answered another sign-in. Try again.")
        return self._identity(claims)

    async def _exchange(self, code: str, verifier: str) -> str:
        """Return the ID token that a code stands for; a code is good for one."""
        body = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.client.redirect_url,
            "code_verifier": verifier,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        where, secret = await self._address("token_endpoint"), self.client.secret
        ways = self._metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if secret is not None and "client_secret_basic" in ways:
            pair = f"{quote_plus(self.client.id)}:{quote_plus(secret.get_secret_value())}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            body["client_id"] = self.client.id
            if secret is not None:
                body["client_secret"] = secret.get_secret_value()
        status, found = await self._ask("POST", where, headers, urlencode(body).encode())
        if status != 200:
            raise _not("The sign-in service refused the sign-in, or it was used before. Try again.")
        token = found.get("id_token")
        if not isinstance(token, str) or len(token) > LONGEST_TOKEN:
            raise _not("The sign-in service did not say who you are.")
        return token

    async def _claims(self, token: str) -> dict[str, Any]:
        """Return the claims of an ID token that is the provider's, for us, and valid now."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                await self._key(jwt.get_unverified_header(token).get("kid")),
                algorithms=list(ALGORITHMS),
                audience=self.client.id,
                issuer=self.client.issuer,
                leeway=SKEW_SECONDS,
                options={"require": ["iss", "sub", "aud", "exp", "iat"]},
            )
        except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError) as err:
            raise _not(
                "The sign-in service's answer is from another time: its clock or this server's is "
                "wrong. Whoever runs this installation can set it.",
                err,
            ) from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as err:
            raise _not("The sign-in service's answer is not valid here.", err) from None
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self.client.id) != self.client.id:
            raise _not("The sign-in service's answer is for another application.")
        return claims

    async def _key(self, id: object) -> jwt.PyJWK:
        """Return the provider's key of this id, or its only one; a new one is asked for.

        Raises:
            jwt.PyJWTError: it has no such key.
        """
        age = time.monotonic() - self._keys_at
        if age >= METADATA_SECONDS or (self._known_key(id) is None and age >= KEYS_SECONDS):
            _, found = await self._ask("GET", await self._address("jwks_uri"))
            keys = jwt.PyJWKSet.from_dict(found).keys
            self._keys = [key for key in keys if key.public_key_use in (None, "sig")]
            self._keys_at = time.monotonic()
        if (key := self._known_key(id)) is None:
            raise jwt.InvalidKeyError("the provider has no such key")
        return key

    def _known_key(self, id: object) -> jwt.PyJWK | None:
        fitting = [key for key in self._keys if id is None or key.key_id == id]
        return fitting[0] if len(fitting) == 1 else None

    def _identity(self, claims: dict[str, Any]) -> Identity:
        given = claims.get(self.client.roles_claim)
        if self.client.roles_claim == "email" and claims.get("email_verified") is not True:
            given = None  # anyone may have written it
        values = [value for value in (given if isinstance(given, list) else [given]) if value]
        roles = self.client.roles
        named = [roles.get(str(value), "") if roles else str(value) for value in values]
        known = (claims.get(name) for name in ("name", "preferred_username", "email"))
        signed_in, now = claims.get("auth_time"), claims["iat"]
        return Identity(
            subject=claims["sub"],
            name=next((str(one)[:LONGEST_NAME] for one in known if one), ""),
            scopes=scopes_of_roles(name for text in named for name in text.split()),
            # Both by the provider's clock.
            signed_in_ago=timedelta(seconds=max(now - signed_in, 0))
            if isinstance(signed_in, int | float)
            else None,
        )

    async def _address(self, name: str) -> str:
        """Return an address of the provider's by its name in the discovery document."""
        if time.monotonic() >= self._metadata_until:
            issuer = self.client.issuer
            where = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
            status, found = await self._ask("GET", where)
            if status != 200 or found.get("issuer") != issuer:
                log.warning("the sign-in service is not the one that is configured", status=status)
                raise ProviderUnavailable
            self._metadata, self._metadata_until = found, time.monotonic() + METADATA_SECONDS
        address = self._metadata.get(name)
        if not isinstance(address, str):
            raise ProviderUnavailable
        return address

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> tuple[int, dict[str, Any]]:
        try:
            answer = await self._http.ask(
                method,
                read_url(url),
                {"Accept": "application/json", **(headers or {})},
                body,
                anywhere=True,
                name="single sign-on",
                largest=LARGEST_ANSWER,
            )
            found = json.loads(answer.body)
        except (NoReply, ValueError, RecursionError) as err:
            log.warning("the sign-in service did not answer", error=type(err).__name__)
            raise ProviderUnavailable from None
        if answer.status_code >= 500 or not isinstance(found, dict):
            log.warning("the sign-in service did not answer", status=answer.status_code)
            raise ProviderUnavailable
        return answer.status_code, found


def _not(message: str, error: Exception | None = None) -> NotIdentified:
    log.warning("nobody was signed in", reason=message, error=type(error).__name__ if error else "")
    return NotIdentified(message)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
