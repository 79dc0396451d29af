"""Keys go to the vendor's public addresses, or to where an operator has pointed us on purpose.

A host's name may be made to mean something else: a poisoned answer of DNS, a line in a hosts file,
a resolver that leads into the own network. So what a name is resolved to for a connection is looked
at then: there is no second look-up between the look and the connection.
"""

from __future__ import annotations

import ipaddress
import socket

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from destinations.customerio.errors import AddressRefused

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


class PublicResolver(AbstractResolver):
    """Resolves the names of hosts on the internet to public addresses only.

    Addresses that stand in a URL itself are not resolved, so they are not asked about here: an
    operator has put them there.
    """

    def __init__(self) -> None:
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Raises `AddressRefused` where a name leads into a private network alone."""
        found = await self._resolver.resolve(host, port, family)
        if names_own_network(host):
            return found
        public = [result for result in found if _is_public(result["host"])]
        if not public:
            raise AddressRefused(host)
        return public

    async def close(self) -> None:
        await self._resolver.close()


def _is_public(address: str) -> bool:
    """Whether an IP address is one of the internet. Anything else is refused."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        embedded = found.ipv4_mapped or found.sixtofour
        if embedded is not None:
            found = embedded
    return found.is_global and not found.is_multicast
