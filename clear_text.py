"""What production refuses: keys and people's data in clear text on the way to another network.

A machine's own addresses, private ones, and names that say so themselves (`postgres`,
`db.internal`) are its own network. Any other may be reached over the internet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

from destinations.http.addresses import names_own_network

# libpq's modes that connect with TLS or not at all. Without one, asyncpg prefers TLS, and does
# without where it is refused.
_WITH_TLS = ("require", "verify-ca", "verify-full")


def clear_url(url: str) -> bool:
    """Whether requests to a URL cross other networks without TLS."""
    # What comes after `#` or a backslash is not a host, however much it looks like one.
    before = re.split(r"[#\\]", url.strip(), maxsplit=1)[0]
    return not before.lower().startswith("https://") and not _near(_authority(before))


def clear_database(url: str, environ: Mapping[str, str]) -> bool:
    """Whether a connection to PostgreSQL may cross other networks without TLS.

    What the URL leaves out, the file of the service that it names completes, which is not read
    here, and else libpq's variables in `environ`.
    """
    before, _, query = url.partition("?")
    given = {name: values[-1] for name, values in parse_qs(query).items()}
    service = "service" in given
    mode = given.get("sslmode") or ("" if service else environ.get("PGSSLMODE"))
    if mode in _WITH_TLS:
        return False
    named = [_authority(before), given.get("host", "")]
    if service and not any(named):
        return True
    hosts = ",".join(filter(None, named)) or environ.get("PGHOST", "")
    return not all(map(_near, hosts.split(",")))


def clear_temporal(config: Mapping[str, Any]) -> bool:
    """Whether a client that is connected with `config` (`temporalio.envconfig`) uses no TLS on the
    way to another network."""
    return not config.get("tls") and not _near(config.get("target_host", ""))


def _authority(url: str) -> str:
    """Hosts and ports of a URL, also of one that `urlsplit` refuses by repeating its password."""
    return url.partition("://")[2].partition("/")[0].partition("?")[0].rpartition("@")[2]


def _near(address: str) -> bool:
    """`address`: a host, with or without a port; a socket's path; empty for this machine."""
    address = unquote(address)
    if not address or address.startswith(("/", "@")):
        return True
    if address.startswith("["):
        host = address[1:].partition("]")[0]
    else:
        host = address if address.count(":") > 1 else address.partition(":")[0]
    return names_own_network(host)
