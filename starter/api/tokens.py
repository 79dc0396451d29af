"""Verify bearer tokens: a static token, or a JWT signed with a machine key's secret.

A JWT is valid for a minute at most. Its header is `{"alg": "HS256", "kid": <access key>}`, its
claims `iss` = `urn:meshes:m2m:<access key>`, `aud` = `meshes-api`, `org` = the organization, `iat`
and `exp`, as Meshes' clients make them.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import jwt
from jwt.utils import base64url_decode

from catalog.api_key_lookup import MachineCaller
from catalog.api_keys import ACCESS_KEY, TOKEN
from catalog.errors import NotFound

ALGORITHM = "HS256"
AUDIENCE = "meshes-api"
ISSUER = "urn:meshes:m2m:"
LONGEST_SECONDS = 60
SKEW_SECONDS = 5
# A real one has about 400 characters. Nothing much longer reaches the parser.
LONGEST_TOKEN = 4_096


class InvalidToken(Exception):
    """The message says what is wrong with the token; it repeats nothing of it."""


class NamesNoKey(InvalidToken):
    """The token names no access key, so it isn't an attempt to guess one."""


async def verify_token(
    token: str, machine_key: Callable[[str], Awaitable[MachineCaller]]
) -> MachineCaller:
    """Return whose `token` it is. `machine_key` finds a key by its access key, else `NotFound`.

    Raises:
        InvalidToken: see there.
        CatalogUnavailable: the key isn't in memory, and the database is unavailable.
    """
    itself = TOKEN.fullmatch(token)
    access_key = itself[1] if itself else _access_key(token)
    try:
        caller = await machine_key(access_key)
    except NotFound:
        raise InvalidToken(_UNKNOWN) from None
    if caller.secret_key is None:
        if not caller.proved_by(token):
            raise InvalidToken(_UNKNOWN)
        return caller
    claims = _claims(token, access_key, caller.secret_key.get_secret_value())
    lifetime = claims["exp"] - claims["iat"]
    if not 0 < lifetime <= LONGEST_SECONDS:
        raise InvalidToken(
            f"the token may live {LONGEST_SECONDS} seconds at most: exp must be that soon after iat"
        )
    if str(claims["org"]).lower() != caller.organization:
        raise InvalidToken("the token's org is not the organization of its key")
    return caller


# One sentence for both, so that nobody learns which access keys there are.
_UNKNOWN = "the token's key is unknown or revoked, or its signature does not fit"

_PROBLEMS: dict[type[Exception], str] = {
    jwt.InvalidSignatureError: _UNKNOWN,
    jwt.ExpiredSignatureError: "the token has expired: make a new one for each request",
    jwt.ImmatureSignatureError: "the token is from the future: check the clock",
    jwt.InvalidIssuerError: f"the token's iss must be {ISSUER}<access key>",
    jwt.InvalidAudienceError: f"the token's aud must be {AUDIENCE}",
}


def header_of(token: str) -> dict[str, Any]:
    """Return a JWT's header, before anything is verified; empty if the token isn't a JWT."""
    try:
        # The library would decode the other parts as well, and once more when it verifies them.
        header = json.loads(base64url_decode(token.partition(".")[0]))
    except (ValueError, RecursionError):
        return {}
    return header if isinstance(header, dict) else {}


def _access_key(token: str) -> str:
    if len(token) > LONGEST_TOKEN:
        raise NamesNoKey(f"the token has more than {LONGEST_TOKEN} characters")
    header = header_of(token)
    if not header:
        raise NamesNoKey("the token is not a JWT")
    if header.get("alg") != ALGORITHM:
        raise NamesNoKey(f"the token must be signed with {ALGORITHM}")
    access_key = header.get("kid")
    if not isinstance(access_key, str) or not ACCESS_KEY.fullmatch(access_key):
        raise NamesNoKey("the token's header must name the access key as kid")
    return access_key


def _claims(token: str, access_key: str, secret: str) -> dict[str, Any]:
    """Return the claims, checked. The signature is compared in constant time."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            secret.encode(),
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=f"{ISSUER}{access_key}",
            leeway=SKEW_SECONDS,
            options={"require": ["iss", "aud", "org", "iat", "exp"], "strict_aud": True},
        )
    except jwt.MissingRequiredClaimError as err:
        raise InvalidToken(f"the token lacks the claim {err.claim}") from None
    except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError, RecursionError) as err:
        raise InvalidToken(_PROBLEMS.get(type(err), "the token can't be read")) from None
    for name in ("iat", "exp"):
        if isinstance(claims[name], bool) or not isinstance(claims[name], int | float):
            raise InvalidToken(f"the token's {name} must be a number of seconds")
    return claims
