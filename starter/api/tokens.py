"""Machine tokens: a JWT signed with the secret of an access key, good for a minute at most.

Header `{"alg": "HS256", "kid": <access key>}`, claims `iss` = `urn:meshes:m2m:<access key>`,
`aud` = `meshes-api`, `org` = the organisation, `iat`, `exp`; as Meshes' clients make them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import jwt

from catalog.api_key_lookup import MachineCaller
from catalog.api_keys import ACCESS_KEY
from catalog.errors import NotFound

ALGORITHM = "HS256"
AUDIENCE = "meshes-api"
ISSUER = "urn:meshes:m2m:"
LONGEST_SECONDS = 60
SKEW_SECONDS = 5
# A real one has about 400 characters; a parser need not be shown more.
LONGEST_TOKEN = 4_096


class InvalidToken(Exception):
    """The message says what is wrong with the token; it repeats nothing of it."""


async def verify_token(
    token: str, machine_key: Callable[[str], Awaitable[MachineCaller]]
) -> MachineCaller:
    """Who has signed `token`. `machine_key` finds a key by its access key or raises `NotFound`.

    Raises:
        InvalidToken: see there.
        CatalogUnavailable: the key isn't held, and the database is away.
    """
    access_key = _access_key(token)
    try:
        caller = await machine_key(access_key)
    except NotFound:
        raise InvalidToken(_UNKNOWN) from None
    claims = _claims(token, access_key, caller.secret_key.get_secret_value())
    lifetime = claims["exp"] - claims["iat"]
    if not 0 < lifetime <= LONGEST_SECONDS:
        raise InvalidToken(
            f"the token may live {LONGEST_SECONDS} seconds at most: exp must be that soon after iat"
        )
    if str(claims["org"]).lower() != caller.organisation:
        raise InvalidToken("the token's org is not the organisation of its key")
    return caller


def claimed_access_key(token: str) -> str:
    """The access key that a token names, nothing of it verified; empty when it names none."""
    try:
        return _access_key(token)
    except InvalidToken:
        return ""


# One sentence for both, so that nobody learns which access keys there are.
_UNKNOWN = "the token's key is unknown or revoked, or its signature does not fit"


def _access_key(token: str) -> str:
    if len(token) > LONGEST_TOKEN:
        raise InvalidToken(f"the token has more than {LONGEST_TOKEN} characters")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        raise InvalidToken("the token is no JWT") from None
    if header.get("alg") != ALGORITHM:
        raise InvalidToken(f"the token must be signed with {ALGORITHM}")
    access_key = header.get("kid")
    if not isinstance(access_key, str) or not ACCESS_KEY.fullmatch(access_key):
        raise InvalidToken("the token's header must name the access key as kid")
    return access_key


def _claims(token: str, access_key: str, secret: str) -> dict[str, Any]:
    """Checked claims; the signature is compared in constant time."""
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
    except jwt.InvalidSignatureError:
        raise InvalidToken(_UNKNOWN) from None
    except jwt.ExpiredSignatureError:
        raise InvalidToken("the token has expired: make a new one for each request") from None
    except jwt.ImmatureSignatureError:
        raise InvalidToken("the token is from the future: check the clock") from None
    except jwt.MissingRequiredClaimError as err:
        raise InvalidToken(f"the token lacks the claim {err.claim}") from None
    except jwt.InvalidIssuerError:
        raise InvalidToken(f"the token's iss must be {ISSUER}<access key>") from None
    except jwt.InvalidAudienceError:
        raise InvalidToken(f"the token's aud must be {AUDIENCE}") from None
    except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError, RecursionError):
        raise InvalidToken("the token can't be read") from None
    for name in ("iat", "exp"):
        if isinstance(claims[name], bool) or not isinstance(claims[name], int | float):
            raise InvalidToken(f"the token's {name} must be a number of seconds")
    return claims
