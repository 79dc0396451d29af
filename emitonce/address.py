"""What an address says about the way to it."""

from __future__ import annotations

import ipaddress
from typing import Any

from temporalio.service import GrpcCompression


def compression(address: str) -> dict[str, Any]:
    """Options for `Client.connect`: nothing is compressed that never leaves the machine.

    It would cost CPU at both ends and save nothing.
    """
    host = address.rsplit(":", 1)[0].strip("[]")
    return {"grpc_compression": GrpcCompression.NONE} if is_this_machine(host) else {}


def is_this_machine(host: str) -> bool:
    """Whether a host, by name or address, is the machine itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
