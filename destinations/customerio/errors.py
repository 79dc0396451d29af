"""Why a request got no answer. Whatever HTTP status came back is a `Reply`, not an error.

  NoReply
    + TimedOut
      · ConnectTimeout    no connection in time
      · PoolTimeout       no free connection among our own in time
      · AnswerTimeout     connected, but no status line in time; it may have been received
    + NetworkFailed
      · HostNotFound      DNS knows no such host
      · ConnectFailed     refused or unreachable
      · AddressRefused    the host's name led to an address that is not public
      · TlsFailed         certificate or handshake
      · ConnectionLost    broke before the status line; the request may have been received
      · InvalidAnswer     something answered, but not in HTTP
      · NotSent           no request could be made of it

Messages name the host at most: they are shown to people and kept in Temporal's history.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import ClassVar

import h11
import httpx

from delivery.outcome import OutcomeCode


class NoReply(Exception):
    """No answer came. `outcome_code` is `timeout` or `network_error`; the text is one sentence."""

    outcome_code: ClassVar[OutcomeCode] = OutcomeCode.NETWORK_ERROR


class TimedOut(NoReply):
    outcome_code = OutcomeCode.TIMEOUT


class ConnectTimeout(TimedOut):
    def __init__(self, host: str) -> None:
        super().__init__(f"no connection to {host} in time")


class PoolTimeout(TimedOut):
    def __init__(self, host: str) -> None:
        super().__init__(f"no request to {host} was made: all connections stayed in use")


class AnswerTimeout(TimedOut):
    def __init__(self, host: str) -> None:
        super().__init__(f"no answer from {host} in time; it may have received the request")


class NetworkFailed(NoReply):
    pass


class HostNotFound(NetworkFailed):
    def __init__(self, host: str) -> None:
        super().__init__(f"{host} was not found by DNS")


class ConnectFailed(NetworkFailed):
    def __init__(self, host: str) -> None:
        super().__init__(f"could not connect to {host}: refused or unreachable")


class AddressRefused(NetworkFailed):
    def __init__(self, host: str) -> None:
        super().__init__(
            f"{host} led to an address in a private network, so nothing was sent: "
            "check DNS and the hosts file"
        )


class TlsFailed(NetworkFailed):
    def __init__(self, host: str) -> None:
        super().__init__(f"no secure connection to {host}: its certificate or TLS was refused")


class ConnectionLost(NetworkFailed):
    def __init__(self, host: str) -> None:
        super().__init__(
            f"the connection to {host} broke before an answer; it may have received the request"
        )


class InvalidAnswer(NetworkFailed):
    def __init__(self, host: str) -> None:
        super().__init__(f"{host} did not answer in HTTP")


class NotSent(NetworkFailed):
    def __init__(self, host: str) -> None:
        super().__init__(f"no request to {host} could be made; check the base URL")


# Everything that httpx raises for a request; `OSError` is what its transport lets through at times.
HTTPX_ERRORS = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.CookieConflict,
    httpx.StreamError,
    OSError,
)


def no_reply(error: Exception, host: str) -> NoReply:
    """One of `HTTPX_ERRORS`, in our terms.

    Raise it `from None`: the texts of httpx and h11 may quote what was received, and Temporal
    records an error together with its cause.
    """
    return _kind(error)(host)


def _kind(
    error: Exception,
) -> type[
    ConnectTimeout
    | PoolTimeout
    | AnswerTimeout
    | HostNotFound
    | ConnectFailed
    | TlsFailed
    | ConnectionLost
    | InvalidAnswer
    | NotSent
]:
    causes = tuple(_causes(error))
    if isinstance(error, httpx.ConnectTimeout):
        return ConnectTimeout
    if isinstance(error, httpx.PoolTimeout):
        return PoolTimeout
    if isinstance(error, httpx.TimeoutException):
        return AnswerTimeout
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return HostNotFound
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return TlsFailed
    if isinstance(error, httpx.ConnectError | httpx.ProxyError):
        return ConnectFailed
    if isinstance(error, httpx.RemoteProtocolError | httpx.DecodingError):
        # A connection closed without a word is reported under the same name, but without h11's
        # complaint about what was said.
        said = any(isinstance(cause, h11.RemoteProtocolError) for cause in causes)
        return InvalidAnswer if said else ConnectionLost
    if isinstance(error, httpx.NetworkError | OSError):
        return ConnectionLost
    return NotSent


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        # httpcore's connection pool re-raises `from None`, which leaves the context alone.
        error = error.__cause__ or error.__context__
