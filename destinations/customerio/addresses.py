"""Keys go to the vendor's public addresses, or to where an operator has pointed us on purpose.

A host's name may be made to mean something else: a poisoned answer of DNS, a line in a hosts file,
a resolver that leads into the own network. So the address that was connected to is looked at before
anything is sent over it, not the one that was looked up before.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from destinations.customerio.errors import AddressRefused

Trace = Callable[[str, dict[str, Any]], Awaitable[None]]

_CONNECTED = "connection.connect_tcp.complete"

# Names of the own network by convention: RFC 6761 and 6762, RFC 8375, and ICANN's `internal`.
_OWN_NETWORK = (".internal", ".local", ".localhost", ".home.arpa", ".test")


def names_own_network(host: str) -> bool:
    """Whether a configured host says by itself that it isn't on the internet: an address, a name
    without dots such as a container's, or one of the suffixes for it.
    """
    try:
        return not ipaddress.ip_address(host.strip("[]")).is_global
    except ValueError:
        lowered = host.lower().rstrip(".")
        return "." not in lowered or lowered.endswith(_OWN_NETWORK)


def trace_for(url: httpx.URL) -> Trace | None:
    """What httpx is to call about a request to `url`; None when any address will do.

    The callable raises `AddressRefused` for an address that is not public, before the TLS
    handshake and before a byte of the request.
    """
    if names_own_network(url.host):
        return None
    host = url.host

    async def look(event: str, info: dict[str, Any]) -> None:
        if event != _CONNECTED:
            return
        stream = info["return_value"]
        if not _is_public(stream.get_extra_info("server_addr")):
            await stream.aclose()
            raise AddressRefused(host)

    return look


def _is_public(address: Any) -> bool:
    """`address` is a socket's: host and port, with more for IPv6. Anything else is refused."""
    try:
        found = ipaddress.ip_address(str(address[0]).partition("%")[0])
    except (ValueError, TypeError, IndexError):
        return False
    if isinstance(found, ipaddress.IPv6Address):
        embedded = found.ipv4_mapped or found.sixtofour
        if embedded is not None:
            found = embedded
    return found.is_global and not found.is_multicast
