"""Find out from Linux whose a connection from this machine is."""

from __future__ import annotations

import ipaddress
import os
import struct
from pathlib import Path

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_TIME_WAIT = "06"  # nobody reads from it any more, and it is shown as root's

Address = tuple[str, int]


def same_user(client: Address | None, server: Address | None) -> bool:
    """Whether a connection of IPv4 comes from this process's user, or from root, who can read this
    process's memory anyway.

    Where the system doesn't say, as on macOS, every caller counts as the same user.
    """
    try:
        lines = [line for table in TABLES for line in table.read_text().splitlines()[1:]]
    except OSError:
        return True
    if client is None or server is None:
        return False
    ends = {(ours, theirs) for ours in _written(client) for theirs in _written(server)}
    for line in lines:
        fields = line.split()
        if (fields[1], fields[2]) in ends and fields[3] != _TIME_WAIT:
            return int(fields[7]) in (os.geteuid(), 0)
    return False


def _written(address: Address) -> tuple[str, str]:
    """As IPv4, and mapped into IPv6, as some programs connect: words in the machine's order."""
    host = ipaddress.IPv4Address(address[0])
    words = struct.unpack("=I", host.packed)
    mapped = struct.unpack("=4I", bytes(10) + b"\xff\xff" + host.packed)
    port = f":{address[1]:04X}"
    return tuple("".join(f"{word:08X}" for word in part) + port for part in (words, mapped))  # type: ignore[return-value]
