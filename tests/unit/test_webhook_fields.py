"""What a tenant may write into a webhook's URL, headers and secrets; the rest is refused."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.errors import InvalidField
from destinations.registry import BY_TYPE
from destinations.webhook.fields import FIELDS, headers_of

WEBHOOK = BY_TYPE["webhook"]


def read(key: str, text: str) -> str:
    [field] = [one for one in FIELDS if one.key == key]
    return field.check(text)


@pytest.mark.parametrize(
    ("url", "stored"),
    [
        ("https://example.com", None),
        (" https://example.com/hooks?key=a%20b \n", "https://example.com/hooks?key=a%20b"),
        ("HTTPS://Example.com:8443/a/b;c", None),
        ("https://xn--bcher-kva.example/", None),
        ("https://[2606:4700::1111]/", None),
        # Only where the operator allows the host; see tests/contract/test_webhook_client.py.
        ("http://receiver.internal:8080/", None),
        ("http://127.0.0.1:8080/", None),
        ("https://10.0.0.5/", None),
    ],
)
def test_a_url_is_kept_as_it_is(url: str, stored: str | None) -> None:
    assert read("url", url) == (stored or url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        " ",
        "example.com/hooks",
        "//example.com",
        "https://",
        "https:///path",
        "https:example.com",
        "http://example.com/",
        "http://8.8.8.8/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "javascript:alert(1)",
        "unix:///run/docker.sock",
        "https://user@example.com/",
        "https://user:secret@example.com/",
        "https://@example.com/",
        "https://example.com#fragment",
        "https://example.com/#",
        "https://example.com:port/",
        "https://example.com:65536/",
        "https://[::1",
        "https://exa mple.com/",
        "https://example.com/a b",
        "https://example.com/\r\nX-Injected: 1",
        "https://example.com/\x00",
        "https://example.com\\@10.0.0.1/",
        "https://bücher.example/",
        "https://example.com/" + "a" * 2_000,
    ],
)
def test_what_is_no_url_for_a_webhook_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InvalidField) as caught:
        read("url", url)
    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) < 120


def test_own_headers_are_read_line_by_line() -> None:
    text = "X-Source: emitonce\r\n\n  x-tenant :  acme, inc.  \nCookie: a=b; c=d\n"
    read_text = read("custom_headers", text)
    assert read_text == "X-Source: emitonce\nx-tenant: acme, inc.\nCookie: a=b; c=d"
    assert headers_of(read_text) == {
        "X-Source": "emitonce",
        "x-tenant": "acme, inc.",
        "Cookie": "a=b; c=d",
    }
    assert read("custom_headers", read_text) == read_text
    assert headers_of("") == {}


@pytest.mark.parametrize(
    "text",
    [
        "X-Source",
        ": value",
        "X-Source:",
        "X Source: 1",
        "X-Sourcé: 1",
        "X-Source: é",
        "X-Source: a\rX-Injected: 1",
        "X-Source: a\x00",
        "X-Source: a\x0bX-Injected: 1",
        "X-Source: a\u2028X-Injected: 1",
        "X-Source: a\x85X-Injected: 1",
        "X-Source: a\nX-SOURCE: b",
        "\n".join(f"X-{i}: 1" for i in range(6)),
        "X-Source: " + "a" * 1_001,
        f"X-{'a' * 100}: 1",
        *(
            f"{name}: 1"
            for name in (
                "Content-Type",
                "content-length",
                "HOST",
                "Transfer-Encoding",
                "Connection",
                "Authorization",
                "Webhook-Id",
                "webhook-signature",
                "X-Meshes-Event",
                "X-Meshes-Signature",
                "X-Emitonce-Hops",
                "X-Forwarded-For",
                "Expect",
            )
        ),
    ],
)
def test_headers_that_are_none_or_reserved_are_refused(text: str) -> None:
    with pytest.raises(InvalidField):
        read("custom_headers", text)


@given(st.text())
def test_whatever_is_read_as_headers_can_be_sent(text: str) -> None:
    try:
        headers = headers_of(read("custom_headers", text))
    except InvalidField:
        return
    assert len(headers) <= 5
    for name, value in headers.items():
        assert f"{name}{value}".isascii()
        assert f"{name}{value}".isprintable()
        assert ":" not in name


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("auth_username", "user:name"),
        ("auth_username", ""),
        ("auth_password", "a\nb"),
        ("auth_token", "Bearer abc"),
        ("auth_token", ""),
        ("auth_header_name", "Content-Type"),
        ("auth_header_name", "X-Key: 1"),
        ("auth_header_value", "a\r\nb"),
        ("hmac_header", "Host"),
        ("hmac_header", "webhook-signature"),
        ("hmac_secret", "short"),
        ("hmac_algorithm", "md5"),
        ("http_method", "GET"),
        ("http_method", "DELETE"),
        ("payload_mode", "both"),
        ("auth_scheme", "digest"),
        ("signing_secret", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("signing_secret", "whsec_?"),
        ("signing_secret", "whsec_" + base64.b64encode(b"a" * 23).decode()),
        ("signing_secret_2", "whsec_" + base64.b64encode(b"a" * 65).decode()),
    ],
)
def test_what_can_not_be_sent_or_signed_with_is_refused_without_repeating_it(
    key: str, text: str
) -> None:
    with pytest.raises(InvalidField) as caught:
        read(key, text)
    if any(field.key == key and field.secret for field in FIELDS) and text:
        assert text.removeprefix("whsec_") not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("auth_header_name", "Authorization"),
        ("auth_header_name", "X-Meshes-Publishable-Key"),
        ("hmac_header", "X-Meshes-Signature"),
        ("hmac_header", "X-Seal"),
        ("auth_password", "pass:word with blanks"),
        ("signing_secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),  # pragma: allowlist secret
    ],
)
def test_what_a_webhook_can_use_is_kept_as_it_is(key: str, text: str) -> None:
    assert read(key, text) == text


def test_every_secret_is_a_secret() -> None:
    assert [field.key for field in FIELDS if field.secret] == [
        "auth_password",
        "auth_token",
        "auth_header_value",
        "signing_secret",
        "signing_secret_2",
        "hmac_secret",
    ]
