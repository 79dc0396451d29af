"""Changing an alert target keeps what isn't given."""

from __future__ import annotations

from pydantic import SecretStr

from delivery.alert import AlertTarget
from starter.alert_target import changed_target

URL = SecretStr("https://alerts.example/1")
BEAT = SecretStr("https://alerts.example/beat")
SECRET = SecretStr("whsec_c2VjcmV0")
STORED = AlertTarget(URL, SECRET, BEAT)


def test_what_is_not_given_stays_and_an_empty_heartbeat_url_goes() -> None:
    assert changed_target(STORED, None, heartbeat_url=None, format=None) == (STORED, False)
    other = SecretStr("https://alerts.example/2")
    changed = changed_target(STORED, other, heartbeat_url=None, format=None)
    assert changed == (AlertTarget(other, SECRET, BEAT), False)
    without = changed_target(STORED, None, heartbeat_url=SecretStr(""), format=None)
    assert without == (AlertTarget(URL, SECRET), False)


def test_without_a_url_there_is_no_target() -> None:
    assert changed_target(None, None, heartbeat_url=BEAT, format=None) is None
