"""Which addresses are on the internet. Others get requests only where an operator allows it.

A host name can be made to lead to another address: by its owner, by a forged answer of DNS, by a
line in a hosts file. So the address is checked when a connection to it is opened.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

# Networks on the internet have no other IPv6 addresses (RFC 4291). Python calls more global:
# IPv4-compatible and translated addresses, a network's own NAT64, and site-local addresses.
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
# Python's releases differ about these: ranges for protocols (RFC 6890), former relays of 6to4
# (RFC 7526), and addresses for documentation (RFC 9637).
_NOT_PUBLIC = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")))
# Contains the IPv4 address to which the translator connects (RFC 6052).
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

# Suffixes of internal names by convention: RFC 6761 and 6762, RFC 8375, and ICANN's `internal`.
_OWN_NETWORK = (".internal", ".local", ".localhost", ".home.arpa", ".test")

# A host that ends like this is not a name: resolvers read 134744072 as 8.8.8.8.
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")


@lru_cache
def names_own_network(host: str) -> bool:
    """Say whether a configured host is evidently not on the internet.

    It is an address that isn't public, a name without dots, such as a container's, or a name with
    one of the suffixes for internal names.
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
    """Say whether `address` is an IP address on the internet. Anything else is refused."""
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
