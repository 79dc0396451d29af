"""What httpx and aiohttp raise is told as a timeout or network trouble, and nothing is quoted."""

from __future__ import annotations

import inspect
import socket
import ssl

import aiohttp
import httpx
import pytest
from aiohttp.client_reqrep import ConnectionKey

from delivery.outcome import OutcomeCode
from destinations.http import errors
from destinations.http.errors import (
    HTTP_ERRORS,
    AddressRefused,
    AnswerTimeout,
    ConnectFailed,
    ConnectionLost,
    ConnectTimeout,
    HostNotFound,
    InvalidAnswer,
    NoReply,
    NotSent,
    PrivateAddress,
    TlsFailed,
    no_reply,
)

SECRET = "sk-secret test@example.com"


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def connector(kind: type[aiohttp.ClientConnectorError], error: Exception) -> Exception:
    key = ConnectionKey("cdp.customer.io", 443, True, True, None, None, None)
    return kind(key, error)


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (aiohttp.ConnectionTimeoutError(SECRET), ConnectTimeout),
        (aiohttp.SocketTimeoutError(SECRET), AnswerTimeout),
        (aiohttp.ServerTimeoutError(SECRET), AnswerTimeout),
        (connector(aiohttp.ClientConnectorDNSError, socket.gaierror(-2, SECRET)), HostNotFound),
        (connector(aiohttp.ClientConnectorError, OSError(111, SECRET)), ConnectFailed),
        (connector(aiohttp.ClientConnectorSSLError, ssl.SSLError(1, SECRET)), TlsFailed),
        (
            connector(
                aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError(SECRET)
            ),
            TlsFailed,
        ),
        (aiohttp.ServerDisconnectedError(SECRET), ConnectionLost),
        (aiohttp.ClientOSError(104, SECRET), ConnectionLost),
        (aiohttp.ClientPayloadError(SECRET), ConnectionLost),
        (aiohttp.ClientResponseError(None, (), message=SECRET), InvalidAnswer),
        (aiohttp.InvalidURL(SECRET), NotSent),
    ],
)
def test_what_aiohttp_names_is_told_by_its_name_whatever_it_is_wrapped_in(cause, expected):
    for error in (cause, caused(httpx.ConnectTimeout(SECRET), cause)):
        told = no_reply(error, "cdp.customer.io")
        assert type(told) is expected
        assert "secret" not in str(told)
        assert "example.com" not in str(told)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionResetError(SECRET), ConnectionLost),
        (httpx.ReadError(SECRET), ConnectionLost),
        (httpx.RemoteProtocolError(SECRET), ConnectionLost),
        (httpx.InvalidURL(SECRET), NotSent),
        (PrivateAddress(SECRET), AddressRefused),
        (caused(httpx.ConnectError(SECRET), PrivateAddress(SECRET)), AddressRefused),
    ],
)
def test_what_aiohttp_does_not_name_may_have_been_received_and_quotes_nothing(error, expected):
    told = no_reply(error, "cdp.customer.io")
    assert type(told) is expected
    assert "cdp.customer.io" in str(told)
    assert "secret" not in str(told)
    assert "example.com" not in str(told)


@pytest.mark.parametrize("library", [httpx, aiohttp.client_exceptions])
def test_every_exception_of_the_client_is_covered(library):
    for _, kind in inspect.getmembers(library, inspect.isclass):
        if issubclass(kind, Exception) and not kind.__name__.startswith("WS"):
            assert issubclass(kind, HTTP_ERRORS), kind


def test_every_failure_is_a_timeout_or_network_trouble():
    kinds = [
        kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, NoReply)
    ]
    assert len(kinds) >= 9
    assert {kind.outcome_code for kind in kinds} == {OutcomeCode.TIMEOUT, OutcomeCode.NETWORK_ERROR}


@pytest.mark.parametrize("kind", [AnswerTimeout, ConnectionLost, InvalidAnswer])
def test_what_broke_after_connecting_may_have_been_received(kind):
    assert kind("cdp.customer.io").request_made


@pytest.mark.parametrize("kind", [ConnectTimeout, HostNotFound, ConnectFailed, TlsFailed, NotSent])
def test_without_a_connection_nothing_was_received(kind):
    assert not kind("cdp.customer.io").request_made
