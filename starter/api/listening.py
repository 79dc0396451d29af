"""Open a socket for the HTTP API."""

from __future__ import annotations

import socket

BACKLOG = 2_048


class AddressTaken(OSError):
    """The address can't be listened on. The message names it, and what to do."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on `host` and `port`. Raises `AddressTaken`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY on accepted connections only if the protocol is named; without it,
    # each answer waits up to 40 ms for the client's acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as err:
        listening.close()
        raise AddressTaken(
            f"the HTTP API can't listen on {host}:{port} ({err.strerror or err}): stop the program "
            "that uses it, or set EMITONCE_HTTP_HOST and EMITONCE_HTTP_PORT (0: any free port)"
        ) from None
    listening.setblocking(False)
    return listening
