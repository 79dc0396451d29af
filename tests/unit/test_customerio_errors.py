"""Whatever httpx raises is told as a timeout or as network trouble, and never quotes anything."""

from __future__ import annotations

import inspect
import socket
import ssl

import h11
import httpx
import pytest

from delivery.outcome import OutcomeCode
from destinations.customerio import errors
from destinations.customerio.errors import (
    HTTPX_ERRORS,
    AnswerTimeout,
    ConnectFailed,
    ConnectionLost,
    ConnectTimeout,
    HostNotFound,
    InvalidAnswer,
    NoReply,
    NotSent,
    PoolTimeout,
    TlsFailed,
    no_reply,
)

SECRET = "sk-secret test@example.com"


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (httpx.ConnectTimeout(SECRET), ConnectTimeout),
        (httpx.PoolTimeout(SECRET), PoolTimeout),
        (httpx.ReadTimeout(SECRET), AnswerTimeout),
        (httpx.WriteTimeout(SECRET), AnswerTimeout),
        (httpx.ConnectError(SECRET), ConnectFailed),
        (caused(httpx.ConnectError(SECRET), socket.gaierror(-2, SECRET)), HostNotFound),
        (caused(httpx.ConnectError(SECRET), ssl.SSLCertVerificationError(SECRET)), TlsFailed),
        (caused(httpx.ReadError(SECRET), ssl.SSLError(SECRET)), TlsFailed),
        (httpx.ReadError(SECRET), ConnectionLost),
        (httpx.WriteError(SECRET), ConnectionLost),
        (httpx.CloseError(SECRET), ConnectionLost),
        (ConnectionResetError(SECRET), ConnectionLost),
        (httpx.RemoteProtocolError(SECRET), ConnectionLost),
        (
            caused(httpx.RemoteProtocolError(SECRET), h11.RemoteProtocolError(SECRET)),
            InvalidAnswer,
        ),
        (httpx.DecodingError(SECRET), ConnectionLost),
        (httpx.ProxyError(SECRET), ConnectFailed),
        (httpx.UnsupportedProtocol(SECRET), NotSent),
        (httpx.LocalProtocolError(SECRET), NotSent),
        (httpx.TooManyRedirects(SECRET), NotSent),
        (httpx.InvalidURL(SECRET), NotSent),
        (httpx.CookieConflict(SECRET), NotSent),
        (httpx.StreamClosed(), NotSent),
    ],
)
def test_each_failure_has_its_name_and_quotes_nothing(error, expected):
    told = no_reply(error, "cdp.customer.io")
    assert type(told) is expected
    assert "cdp.customer.io" in str(told)
    assert "secret" not in str(told)
    assert "example.com" not in str(told)


def test_every_exception_of_httpx_is_covered():
    for _, kind in inspect.getmembers(httpx, inspect.isclass):
        if issubclass(kind, Exception):
            assert issubclass(kind, HTTPX_ERRORS), kind


def test_every_failure_is_a_timeout_or_network_trouble():
    kinds = [
        kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, NoReply)
    ]
    assert len(kinds) >= 9
    assert {kind.outcome_code for kind in kinds} == {OutcomeCode.TIMEOUT, OutcomeCode.NETWORK_ERROR}
