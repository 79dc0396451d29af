"""Why a request got no answer. Whatever HTTP status came back is a `Reply`, not an error.

  NoReply
    + TimedOut
      · ConnectTimeout    no connection in time
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

from collections.abc import Callable, Iterator
from typing import ClassVar

import aiohttp
import httpx

from delivery.outcome import OutcomeCode


class NoReply(Exception):
    """No answer came. `outcome_code` is `timeout` or `network_error`; the text is one sentence.

    `request_made` says whether the vendor may have received a request.
    """

    outcome_code: ClassVar[OutcomeCode] = OutcomeCode.NETWORK_ERROR
    request_made: ClassVar[bool] = False


class TimedOut(NoReply):
    outcome_code = OutcomeCode.TIMEOUT


class ConnectTimeout(TimedOut):
    def __init__(self, host: str) -> None:
        super().__init__(f"no connection to {host} in time")


class AnswerTimeout(TimedOut):
    request_made = True

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
    request_made = True

    def __init__(self, host: str) -> None:
        super().__init__(
            f"the connection to {host} broke before an answer; it may have received the request"
        )


class InvalidAnswer(NetworkFailed):
    request_made = True

    def __init__(self, host: str) -> None:
        super().__init__(f"{host} did not answer in HTTP")


class NotSent(NetworkFailed):
    def __init__(self, host: str) -> None:
        super().__init__(f"no request to {host} could be made; check the base URL")


# Everything that is raised for a request: httpx's own; aiohttp's, which httpx-aiohttp lets through
# where it has no name for them; and what comes from the socket.
HTTP_ERRORS = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.CookieConflict,
    httpx.StreamError,
    aiohttp.ClientError,
    OSError,
)


def no_reply(error: Exception, host: str) -> NoReply:
    """One of `HTTP_ERRORS`, in our terms.

    Raise it `from None`: the texts of httpx and aiohttp may quote what was received, and Temporal
    records an error together with its cause.
    """
    for cause in _causes(error):
        # Judged by aiohttp's name where there is one: httpx-aiohttp calls whatever happens to a
        # connection a timeout of connecting, a lost one too.
        if isinstance(cause, aiohttp.ClientError):
            return _of_aiohttp(cause)(host)
    return _of_httpx(error)(host)


# What is made of a host's name alone.
_Kind = Callable[[str], NoReply]


def _of_aiohttp(error: aiohttp.ClientError) -> _Kind:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return ConnectTimeout
    if isinstance(error, aiohttp.ServerTimeoutError):
        return AnswerTimeout
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return HostNotFound
    if isinstance(error, aiohttp.ClientSSLError):
        return TlsFailed
    if isinstance(error, aiohttp.ClientConnectorError):
        return ConnectFailed
    if isinstance(error, aiohttp.ClientResponseError):
        return InvalidAnswer
    if isinstance(error, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError):
        return ConnectionLost
    return NotSent


def _of_httpx(error: Exception) -> _Kind:
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return ConnectTimeout
    if isinstance(error, httpx.TimeoutException):
        return AnswerTimeout
    if isinstance(error, httpx.ConnectError | httpx.ProxyError):
        return ConnectFailed
    if isinstance(error, httpx.RemoteProtocolError):
        return InvalidAnswer
    if isinstance(error, httpx.NetworkError | httpx.DecodingError | OSError):
        return ConnectionLost
    return NotSent


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
