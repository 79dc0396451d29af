"""Which addresses are on the internet. Others get requests only where an operator allows it.

A host's name may be made to mean something else: by its owner, by a poisoned answer of DNS, by a
line in a hosts file. So the address is checked when a connection is opened to it.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

# Of IPv6 nothing else is given to networks on the internet (RFC 4291). Python calls more global:
# IPv4-compatible addresses and translated ones, NAT64 of a network's own, site-local ones.
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
# Of which Python's releases think differently: ranges for protocols (RFC 6890), relays of 6to4 that
# are no more (RFC 7526), and addresses for documentation (RFC 9637).
_NOT_PUBLIC = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")))
# Holds the IPv4 address that the translator connects to (RFC 6052).
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

# Names of the own network by convention: RFC 6761 and 6762, RFC 8375, and ICANN's `internal`.
_OWN_NETWORK = (".internal", ".local", ".localhost", ".home.arpa", ".test")

# A host that ends so is no name: resolvers read 134744072 as 8.8.8.8.
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")


@lru_cache
def names_own_network(host: str) -> bool:
    """Whether a configured host says by itself that it isn't on the internet: an address, a name
    without dots such as a container's, or one of the suffixes for it.
    """
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        lowered = host.lower().rstrip(".")
        if _NUMBER.fullmatch(lowered.rpartition(".")[2]):
            return False
        return "." not in lowered or lowered.endswith(_OWN_NETWORK)
    return not is_public(host.strip("[]"))


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet. Anything else is refused."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        embedded = found.ipv4_mapped or found.sixtofour
        if found in _NAT64:
            embedded = ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF)
        if embedded is not None:
            found = embedded
        elif found not in _GLOBAL_UNICAST:
            return False
    if any(found in network for network in _NOT_PUBLIC):
        return False
    return found.is_global and not found.is_multicast
