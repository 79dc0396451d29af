"""Why a request got no answer. Any HTTP status that came back is an answer, not an error.

  NoReply
    + TimedOut
      · ConnectTimeout    no connection in time
      · AnswerTimeout     connected, but no status line in time; the request may have been received
    + NetworkFailed
      + HostNotFound      DNS knows no such host
        · AddressRefused  its address is not on the internet, and nobody has allowed it
      · ConnectFailed     refused or unreachable
      · TlsFailed         certificate or handshake
      · ConnectionLost    broke before the status line; the request may have been received
      · InvalidAnswer     something answered, but not in HTTP
      · NotSent           no request could be made

Messages name the host at most: they are shown to people and kept in Temporal's history. They don't
distinguish a private address from a host that doesn't exist: otherwise, whoever chose the host
could guess names in an operator's network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

import aiohttp
import httpx

from delivery.outcome import OutcomeCode


class NoReply(Exception):
    """No answer came from `host`. The text is one sentence.

    `outcome_code` is `timeout` or `network_error`; `request_made` says whether the vendor may have
    received a request.
    """

    outcome_code: ClassVar[OutcomeCode] = OutcomeCode.NETWORK_ERROR
    request_made: ClassVar[bool] = False
    text: ClassVar[str] = "no answer from {host}"

    def __init__(self, host: str) -> None:
        super().__init__(self.text.format(host=host))


class TimedOut(NoReply):
    outcome_code = OutcomeCode.TIMEOUT


class ConnectTimeout(TimedOut):
    text = "no connection to {host} in time"


class AnswerTimeout(TimedOut):
    request_made = True
    text = "no answer from {host} in time; it may have received the request"


class NetworkFailed(NoReply):
    pass


class HostNotFound(NetworkFailed):
    text = (
        "no public address is known of {host}, so nothing was sent: check its name, DNS and the "
        "hosts file; EMITONCE_ALLOWED_PRIVATE_HOSTS allows private hosts"
    )


class ConnectFailed(NetworkFailed):
    text = "could not connect to {host}: refused or unreachable"


class AddressRefused(HostNotFound):
    """Reads as its base does; the log of the process has the address."""


class TlsFailed(NetworkFailed):
    text = "no secure connection to {host}: its certificate or TLS was refused"


class ConnectionLost(NetworkFailed):
    request_made = True
    text = "the connection to {host} broke before an answer; it may have received the request"


class InvalidAnswer(NetworkFailed):
    request_made = True
    text = "{host} did not answer in HTTP"


class NotSent(NetworkFailed):
    text = "no request to {host} could be made; check the base URL"


class PrivateAddress(OSError):
    """Raised while connecting: the address is not public."""


# What a request may raise. httpx-aiohttp raises httpx's errors, with aiohttp's as their cause, and
# passes on errors of aiohttp and of the socket for which it has no name.
HTTP_ERRORS = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.CookieConflict,
    httpx.StreamError,
    aiohttp.ClientError,
    OSError,
)

# The first that fits. Anything else is treated as a connection that broke, so that the request may
# have been received.
_KINDS: tuple[tuple[type[Exception], Callable[[str], NoReply]], ...] = (
    (aiohttp.ConnectionTimeoutError, ConnectTimeout),
    (aiohttp.ServerTimeoutError, AnswerTimeout),
    (aiohttp.ClientConnectorDNSError, HostNotFound),
    (aiohttp.ClientSSLError, TlsFailed),
    (aiohttp.ClientConnectorError, ConnectFailed),
    (aiohttp.ClientResponseError, InvalidAnswer),
    (aiohttp.InvalidURL, NotSent),
    (httpx.InvalidURL, NotSent),
)


def no_reply(error: Exception, host: str) -> NoReply:
    """Return what one of `HTTP_ERRORS` means, by aiohttp's error, which is more precise.

    httpx-aiohttp reports anything that happens to a connection as a timeout of connecting. Raise
    the result `from None`: the texts of httpx and aiohttp may quote what was received, and Temporal
    records an error together with its cause.
    """
    causes = tuple(_causes(error))
    if any(isinstance(cause, PrivateAddress) for cause in causes):
        return AddressRefused(host)
    for cause in causes:
        for kind, named in _KINDS:
            if isinstance(cause, kind):
                return named(host)
    return ConnectionLost(host)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
