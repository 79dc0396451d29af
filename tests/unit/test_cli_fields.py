"""What is entered on the command line for a destination: settings in the open, secrets never."""

from __future__ import annotations

import io

import pytest
import typer

from destinations.registry import BY_TYPE
from starter.cli.fields import read_fields

CUSTOMER_IO, WEBHOOK = BY_TYPE["customer_io"], BY_TYPE["webhook"]


def test_a_secret_is_not_taken_from_the_command_line():
    with pytest.raises(typer.BadParameter, match="give --secret cdpApiKey") as caught:
        read_fields(CUSTOMER_IO, ["cdpApiKey=hunter2"], None)
    assert "hunter2" not in str(caught.value)


def test_secrets_come_from_the_environment_or_a_line_each(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("first\nsecond\n"))
    monkeypatch.setenv("EMITONCE_SECRET_AUTH_PASSWORD", "from outside")
    given = ["auth_password", "signing_secret", "signing_secret_2"]
    assert read_fields(WEBHOOK, ["auth_scheme=basic"], given) == {
        "auth_scheme": "basic",
        "auth_password": "from outside",
        "signing_secret": "first",
        "signing_secret_2": "second",
    }


def test_a_new_connection_wants_the_secrets_that_it_can_t_do_without(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert read_fields(WEBHOOK, ["auth_scheme=none"], None, new=True) == {"auth_scheme": "none"}
    with pytest.raises(typer.BadParameter, match="give --secret auth_password"):
        read_fields(WEBHOOK, ["auth_scheme=basic"], None, new=True)
    assert read_fields(WEBHOOK, ["auth_scheme=basic"], None) == {"auth_scheme": "basic"}
    monkeypatch.setenv("CUSTOMERIO_CDP_API_KEY", "the-key")
    assert read_fields(CUSTOMER_IO, None, None, region="eu", new=True) == {
        "region": "eu",
        "cdpApiKey": "the-key",
    }


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"sets": ["region"]}, "is not KEY=VALUE"),
        ({"secrets": ["region"]}, "region is not a secret"),
    ],
)
def test_a_mistake_is_named(given, told):
    with pytest.raises(typer.BadParameter, match=told):
        read_fields(CUSTOMER_IO, given.get("sets"), given.get("secrets"))


def test_the_one_secret_needs_a_destination_with_one(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("the-key\n"))
    assert read_fields(CUSTOMER_IO, None, None, api_key="-") == {"cdpApiKey": "the-key"}
    with pytest.raises(typer.BadParameter, match="has no single secret"):
        read_fields(WEBHOOK, None, None, api_key="-")
