"""Find out from Linux which user a connection from this machine belongs to."""

from __future__ import annotations

import ipaddress
import os
import struct
from pathlib import Path

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_TIME_WAIT = "06"  # closed already, and listed as root's

Address = tuple[str, int]


def same_user(client: Address | None, server: Address | None) -> bool:
    """Whether an IPv4 connection comes from this process's user, or from root, who can read this
    process's memory anyway.

    On systems that don't report it, such as macOS, every caller counts as the same user.
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
    """Write an address as the tables do: as IPv4, and mapped into IPv6, as some programs connect.

    Words are in the machine's byte order.
    """
    host = ipaddress.IPv4Address(address[0])
    words = struct.unpack("=I", host.packed)
    mapped = struct.unpack("=4I", bytes(10) + b"\xff\xff" + host.packed)
    port = f":{address[1]:04X}"
    return tuple("".join(f"{word:08X}" for word in part) + port for part in (words, mapped))  # type: ignore[return-value]
