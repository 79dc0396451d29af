"""A socket for the HTTP API, and the error when there can be none."""

from __future__ import annotations

import socket

BACKLOG = 2_048


class AddressTaken(OSError):
    """Nothing can listen there; the message names address and remedy."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises `AddressTaken`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sets TCP_NODELAY on what it accepts; without, each answer
    # waits up to 40 ms for the client's acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as err:
        listening.close()
        raise AddressTaken(
            f"the HTTP API can't listen on {host}:{port} ({err.strerror or err}): end what does, "
            "or set EMITONCE_HTTP_HOST and EMITONCE_HTTP_PORT (0: any free port)"
        ) from None
    listening.setblocking(False)
    return listening
