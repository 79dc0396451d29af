"""Secrets come from the environment, are made once for development, and are shown nowhere."""

from __future__ import annotations

import base64
import json
import os
import stat
import threading
from pathlib import Path

import pytest
from pydantic import ValidationError

from destinations.clients import make_clients
from destinations.http.exchange import Http
from key_provider import load_secrets
from settings import Settings, SettingsError


def key(fill: int, size: int = 32) -> str:
    return base64.b64encode(bytes([fill]) * size).decode()


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch, tmp_path):
    """No settings of the machine's own, and nothing is written into the checkout."""
    for name in [name for name in os.environ if name.upper().startswith("EMITONCE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("EMITONCE_DATA_DIR", str(tmp_path / "data"))


def given(monkeypatch, **values: str) -> Settings:
    for name, value in values.items():
        monkeypatch.setenv(f"EMITONCE_{name.upper()}", value)
    return Settings()


def test_the_defaults_are_for_development():
    settings = Settings()
    assert settings.env == "development"
    assert settings.task_queue == "deliveries"
    assert settings.database_url is None
    assert settings.customerio_url_us is settings.customerio_url_eu is None


def test_secrets_are_read_in_the_order_they_are_given(monkeypatch):
    settings = given(
        monkeypatch,
        credential_keys=f"k2:{key(2)}, k1:{key(1)}",
        instance_secret=key(3, 40),
    )
    secrets = load_secrets(settings)
    assert list(secrets.credential_keys.items()) == [("k2", b"\2" * 32), ("k1", b"\1" * 32)]
    assert secrets.instance_secret == b"\3" * 40


@pytest.mark.parametrize("env", ["development", "production"])
@pytest.mark.parametrize("name", ["credential_keys", "instance_secret"])
def test_one_secret_without_the_other_is_refused(monkeypatch, env, name):
    value = f"k1:{key(1)}" if name == "credential_keys" else key(3)
    with pytest.raises(SettingsError, match="must both be set"):
        load_secrets(given(monkeypatch, env=env, **{name: value}))


@pytest.mark.parametrize("empty", [{}, {"credential_keys": "", "instance_secret": ""}])
def test_production_makes_no_secret_of_its_own(monkeypatch, tmp_path, empty):
    with pytest.raises(SettingsError, match="must both be set"):
        load_secrets(given(monkeypatch, env="production", **empty))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        (key(1), "must read id:base64"),
        (f":{key(1)}", "must read id:base64"),
        ("k1:", "must read id:base64"),
        (f"k1:{key(1)},", "must read id:base64"),
        (f"k1:{key(1)},k1:{key(2)}", "'k1' is there twice"),
        (f"k1:{key(1, 16)}", "16 bytes"),
        (f"k1:{key(1, 31)}", "31 bytes"),
        (f"k1:{key(1, 33)}", "33 bytes, needs 32"),
        ("k1:hunter2!", "is not base64"),
        ("k1:hünter2", "is not base64"),
        (f"k1:{key(1)[:-1]}", "is not base64"),
    ],
)
def test_malformed_keys_are_refused_and_not_quoted(monkeypatch, keys, reason):
    settings = given(monkeypatch, credential_keys=keys, instance_secret=key(3))
    with pytest.raises(SettingsError, match=reason) as caught:
        load_secrets(settings)
    assert "EMITONCE_CREDENTIAL_KEYS" in str(caught.value)
    for secret in (key(1)[:8], "hunter2", "hünter2"):
        assert secret not in str(caught.value)


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        (key(3, 31), "31 bytes, needs at least 32"),
        ("hunter2!", "not base64"),
        (f"{key(3)[:5]}-{key(3)[5:]}", "not base64"),
    ],
)
def test_a_malformed_instance_secret_is_refused_and_not_quoted(monkeypatch, secret, reason):
    settings = given(monkeypatch, credential_keys=f"k1:{key(1)}", instance_secret=secret)
    with pytest.raises(SettingsError, match=f"EMITONCE_INSTANCE_SECRET: .*{reason}") as caught:
        load_secrets(settings)
    assert secret not in str(caught.value)


def test_development_makes_secrets_once_and_keeps_them(tmp_path):
    made = load_secrets(Settings())
    assert load_secrets(Settings()) == made
    assert [len(value) for value in made.credential_keys.values()] == [32]
    assert len(made.instance_secret) == 32
    (path,) = (tmp_path / "data").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_data_directories_have_different_secrets(tmp_path):
    first = load_secrets(Settings(data_dir=tmp_path / "a"))
    second = load_secrets(Settings(data_dir=tmp_path / "b"))
    assert first.instance_secret != second.instance_secret
    assert first.credential_keys != second.credential_keys


def test_processes_that_start_at_once_end_up_with_the_same_secrets(tmp_path):
    start = threading.Barrier(8)
    made = []

    def load() -> None:
        start.wait()
        made.append(load_secrets(Settings()))

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [load_secrets(Settings())] * 8
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["secrets.json"]


def test_secrets_are_not_shown_with_the_settings(monkeypatch):
    settings = given(
        monkeypatch,
        credential_keys=f"k1:{key(1)}",
        instance_secret=key(3),
        database_url="postgresql://emitonce:hunter2@db/emitonce",
    )
    for text in (repr(settings), str(settings), settings.model_dump_json()):
        for secret in (key(1), key(3), "hunter2"):
            assert secret not in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("env", "staging"),
        ("max_activities", "0"),
        ("max_activities", "many"),
        ("shutdown_grace_seconds", "-1"),
        ("connect_timeout_seconds", "0"),
        ("workflow_sandbox", "perhaps"),
    ],
)
def test_a_setting_that_can_not_be_meant_is_refused_by_name(monkeypatch, name, value):
    with pytest.raises(SettingsError, match=f"EMITONCE_{name.upper()}: must be"):
        given(monkeypatch, **{name: value})


def test_settings_do_not_change_while_a_process_runs():
    with pytest.raises(ValidationError):
        Settings().task_queue = "another"


def test_stored_secrets_are_json_that_a_person_can_move(tmp_path):
    made = load_secrets(Settings())
    stored = json.loads(Path(tmp_path / "data" / "secrets.json").read_text())
    assert stored["credential_keys"].startswith("dev:")
    assert base64.b64decode(stored["instance_secret"]) == made.instance_secret


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"credential_keys": 1}', "not json"])
def test_damaged_secrets_are_named_with_the_remedy(tmp_path, content):
    settings = Settings(data_dir=tmp_path)
    (tmp_path / "secrets.json").write_text(content)
    with pytest.raises(SettingsError, match=r"secrets\.json is damaged"):
        load_secrets(settings)


def test_base_urls_are_by_type_and_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMITONCE_CUSTOMERIO_URL_US", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("EMITONCE_CUSTOMERIO_URL_EU", "http://127.0.0.1:2/v1")
    monkeypatch.setenv(
        "EMITONCE_BASE_URLS", '{"customer_io.eu": "http://127.0.0.1:3/v1", "slack": "http://a"}'
    )
    assert Settings().urls_by_type() == {
        "customer_io": {"us": "http://127.0.0.1:1/v1", "eu": "http://127.0.0.1:3/v1"},
        "slack": {"": "http://a"},
    }


@pytest.mark.parametrize("text", ["[]", "http://secret@a", '{"customer_io.us": 1}'])
def test_base_urls_that_are_none_are_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("EMITONCE_BASE_URLS", text)
    with pytest.raises(SettingsError, match=r"(?i)base_urls") as caught:
        Settings()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("base_urls", "problem"),
    [
        ({"telegraph": {"": "https://a"}}, "there is no destination type 'telegraph'"),
        ({"customer_io": {"mars": "https://a"}}, "region 'mars'"),
        ({"webhook": {"": "https://a"}}, "a webhook has no base URL"),
    ],
)
def test_a_base_url_that_nobody_would_use_is_refused(
    base_urls: dict[str, dict[str, str]], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        make_clients(Http(), base_urls, agent="emitonce")


def test_private_hosts_are_hosts_and_ports() -> None:
    given = "receiver.internal:8080, 10.0.0.5:443,[::1]:9000,"
    assert Settings(allowed_private_hosts=given).allowed_private_hosts == {
        ("receiver.internal", 8080),
        ("10.0.0.5", 443),
        ("::1", 9000),
    }
    assert Settings().allowed_private_hosts == frozenset()


@pytest.mark.parametrize("given", ["receiver.internal", ":80", "a:0", "a:65536", "a:b", "a:1,b"])
def test_what_is_no_private_host_is_refused(given: str) -> None:
    with pytest.raises(SettingsError, match="EMITONCE_ALLOWED_PRIVATE_HOSTS: "):
        Settings(allowed_private_hosts=given)
