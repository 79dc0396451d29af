"""What an address says about the way to it."""

from __future__ import annotations

import ipaddress
from typing import Any

from temporalio.service import GrpcCompression


def compression(address: str) -> dict[str, Any]:
    """Options for `Client.connect`: nothing is compressed that never leaves the machine.

    It would cost CPU at both ends and save nothing.
    """
    return {"grpc_compression": GrpcCompression.NONE} if is_loopback(address) else {}


def is_loopback(address: str) -> bool:
    """Whether `address`, a host and a port, is this machine's own."""
    host = address.rsplit(":", 1)[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
