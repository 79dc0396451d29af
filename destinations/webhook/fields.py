"""The fields of a webhook connection, and how each is checked.

Of the keys, Meshes documents `url`, `http_method`, `payload_mode` and `auth_scheme`; the others are
ours.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from destinations.destination import Field, Option
from destinations.http.addresses import names_own_network
from destinations.webhook.signature import read_secret

URL = "url"
METHOD = "http_method"
MODE = "payload_mode"
AUTH = "auth_scheme"
USERNAME = "auth_username"
PASSWORD = "auth_password"  # noqa: S105  keys, not secrets
TOKEN = "auth_token"  # noqa: S105
AUTH_HEADER = "auth_header_name"
AUTH_VALUE = "auth_header_value"
HEADERS = "custom_headers"
SIGNING_SECRETS = ("signing_secret", "signing_secret_2")
HMAC_SECRET = "hmac_secret"  # noqa: S105
HMAC_ALGORITHM = "hmac_algorithm"
HMAC_HEADER = "hmac_header"
DEFAULT_HMAC_ALGORITHM = "sha256"
DEFAULT_HMAC_HEADER = "X-Meshes-Signature"

# The headers that hold the fields around the payload in raw mode. Meshes has such headers, but
# doesn't publish their names.
DESCRIBING = {
    "uuid": "X-Meshes-Event-Id",
    "event": "X-Meshes-Event",
    "resource": "X-Meshes-Resource",
    "resource_id": "X-Meshes-Resource-Id",
    "time_created": "X-Meshes-Time-Created",
}

LONGEST_URL = 2_000  # characters
LONGEST_VALUE = 1_000
LONGEST_NAME = 100
MOST_HEADERS = 5
SHORTEST_HMAC_SECRET = 16

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Headers of the request itself, of HTTP's connection, or with a field of their own.
_RESERVED = frozenset(
    {
        "accept-encoding",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "expect",
        "forwarded",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "via",
        *(name.lower() for name in (*DESCRIBING.values(), DEFAULT_HMAC_HEADER)),
    }
)
_RESERVED_PREFIXES = ("webhook-", "x-emitonce-", "x-forwarded-", "sec-")


def read_url(text: str) -> str:
    """Read a URL, without white space around it.

    `http` is for internal hosts, to which requests are sent only if the operator allows it.
    """
    text = text.strip()
    if len(text) > LONGEST_URL:
        raise ValueError(f"has {len(text):,} characters, must have at most {LONGEST_URL:,}")
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise ValueError("holds characters that a URL can't; escape them, or copy it again")
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if not host or url.scheme not in ("https", "http"):
        raise ValueError("must start with https:// and name a host")
    if url.scheme == "http" and not names_own_network(host):
        raise ValueError("must start with https://; http would send events in clear text")
    if "@" in url.netloc:
        raise ValueError("must not hold a user or password; set them as authentication")
    if "#" in text:
        raise ValueError("must not have a fragment, which would not be sent; remove it from # on")
    return text


def read_headers(text: str) -> str:
    """Read lines of `Name: value`, without blank ones."""
    lines = [line.strip() for line in text.replace("\r\n", "\n").split("\n") if line.strip()]
    if len(lines) > MOST_HEADERS:
        raise ValueError(f"has {len(lines)} headers, must have at most {MOST_HEADERS}")
    found: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError("has a line without a colon; write each as Name: value")
        name = _free_name(name)
        if name.lower() in found:
            raise ValueError(f"names {name} twice")
        found[name.lower()] = f"{name}: {_value(value)}"
    return "\n".join(found.values())


def headers_of(text: str) -> dict[str, str]:
    """Return the headers that `read_headers` has read, by name."""
    return dict(line.split(": ", 1) for line in text.split("\n") if line)


def _free_name(text: str) -> str:
    """Read a header name that is not reserved."""
    name = _name(text)
    if name.lower() in _RESERVED or name.lower().startswith(_RESERVED_PREFIXES):
        raise ValueError(f"names {name}, which is reserved")
    return name


def _auth_name(text: str) -> str:
    return _name(text) if text.strip().lower() == "authorization" else _free_name(text)


def _hmac_name(text: str) -> str:
    return _name(text) if text.strip().lower() == DEFAULT_HMAC_HEADER.lower() else _free_name(text)


def _name(text: str) -> str:
    text = text.strip()
    if len(text) > LONGEST_NAME or not _TOKEN.fullmatch(text):
        raise ValueError("holds an invalid header name; use one such as X-Source")
    return text


def _value(text: str) -> str:
    text = text.strip()
    if not text:
        raise ValueError("holds a header without a value")
    return _printable(text)


def _printable(text: str) -> str:
    """Read visible ASCII and blanks: what a header can hold, whoever receives it."""
    if len(text) > LONGEST_VALUE:
        raise ValueError(f"has {len(text):,} characters, must have at most {LONGEST_VALUE:,}")
    if not text.isascii() or not text.isprintable():
        raise ValueError("holds a line break, a control character or one that is not ASCII")
    return text


def _username(text: str) -> str:
    if ":" in text:
        raise ValueError("holds a colon, which ends the user name in Basic authentication")
    return _value(text)


def _token(text: str) -> str:
    text = _value(text)
    if " " in text:
        raise ValueError("holds a blank; give the token without the word Bearer")
    return text


def _hmac_secret(text: str) -> str:
    if len(text) < SHORTEST_HMAC_SECRET:
        raise ValueError(f"must have at least {SHORTEST_HMAC_SECRET} characters")
    return _printable(text)


FIELDS = (
    Field(
        key=URL,
        label="URL",
        placeholder="https://example.com/webhooks",
        help="Must start with https://. Redirects are not followed.",
        read=read_url,
    ),
    Field(
        key=METHOD,
        label="Method",
        kind="select",
        required=False,
        default="POST",
        options=(Option("POST", "POST"), Option("PUT", "PUT"), Option("PATCH", "PATCH")),
    ),
    Field(
        key=MODE,
        label="Payload",
        kind="select",
        required=False,
        default="wrapped",
        help="Raw sends only the payload; the event's name and ids move to X-Meshes-* headers.",
        options=(Option("wrapped", "Wrapped: the event"), Option("raw", "Raw: only its payload")),
    ),
    Field(
        key=AUTH,
        label="Authentication",
        kind="select",
        required=False,
        default="none",
        options=(
            Option("none", "None"),
            Option("basic", "Basic"),
            Option("bearer", "Bearer token"),
            Option("header", "Header"),
        ),
    ),
    Field(key=USERNAME, label="User name", only_with=(AUTH, ("basic",)), read=_username),
    Field(
        key=PASSWORD,
        label="Password",
        kind="password",
        only_with=(AUTH, ("basic",)),
        read=_printable,
    ),
    Field(key=TOKEN, label="Token", kind="password", only_with=(AUTH, ("bearer",)), read=_token),
    Field(
        key=AUTH_HEADER,
        label="Header name",
        placeholder="X-API-Key",
        only_with=(AUTH, ("header",)),
        read=_auth_name,
    ),
    Field(
        key=AUTH_VALUE,
        label="Header value",
        kind="password",
        only_with=(AUTH, ("header",)),
        read=_value,
    ),
    Field(
        key=HEADERS,
        label="Own headers",
        kind="textarea",
        required=False,
        placeholder="X-Source: emitonce",
        help=f"At most {MOST_HEADERS} lines of Name: value. They are shown, so enter no secrets.",
        read=read_headers,
    ),
    Field(
        key=SIGNING_SECRETS[0],
        label="Signing secret",
        kind="password",
        required=False,
        placeholder="whsec_…",
        help="Signs requests by the Standard Webhooks scheme: whsec_ and base64 of 24 to 64 bytes.",
        read=read_secret,
    ),
    Field(
        key=SIGNING_SECRETS[1],
        label="Second signing secret",
        kind="password",
        required=False,
        placeholder="whsec_…",
        help="While you replace a secret, requests are signed with both.",
        read=read_secret,
    ),
    Field(
        key=HMAC_SECRET,
        label="HMAC secret",
        kind="password",
        required=False,
        help="Also signs the body as Meshes does, in hexadecimal digits.",
        read=_hmac_secret,
    ),
    Field(
        key=HMAC_ALGORITHM,
        label="HMAC algorithm",
        kind="select",
        required=False,
        default=DEFAULT_HMAC_ALGORITHM,
        options=(Option("sha256", "HMAC-SHA256"), Option("sha512", "HMAC-SHA512")),
    ),
    Field(
        key=HMAC_HEADER,
        label="HMAC header",
        required=False,
        default=DEFAULT_HMAC_HEADER,
        read=_hmac_name,
    ),
)
