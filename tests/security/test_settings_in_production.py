"""Production starts with good keys of its own or not at all, and says how to make them."""

from __future__ import annotations

import base64
import os

import pytest

from key_provider import LocalKeys, load_secrets
from settings import Secrets, Settings, SettingsError
from starter.cli.alerts import set_target


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith(("EMITONCE_", "TEMPORAL_", "PG"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("EMITONCE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("EMITONCE_SECRETS_DIR", str(tmp_path / "secrets"))
    return tmp_path


def random_key(seed: int) -> bytes:
    return bytes((seed + 7 * place) % 256 for place in range(32))


def encoded(key: bytes) -> str:
    return base64.b64encode(key).decode()


GOOD = {
    "EMITONCE_ENV": "production",
    "EMITONCE_CREDENTIAL_KEYS": f"c1:{encoded(random_key(1))}",
    "EMITONCE_PAYLOAD_KEYS": f"p2:{encoded(random_key(2))},p1:{encoded(random_key(3))}",
    "EMITONCE_INSTANCE_SECRET": encoded(random_key(4)),
}


def load(monkeypatch: pytest.MonkeyPatch, **changes: str | None) -> Secrets:
    for name, value in (GOOD | changes).items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    return load_secrets(Settings())


def test_with_good_keys_it_encrypts_with_the_newest(monkeypatch) -> None:
    ring = load(monkeypatch).payload_ring()
    assert ([*ring.check_values], ring.current) == (["p2", "p1"], "p2")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"EMITONCE_PAYLOAD_KEYS": None}, "EMITONCE_PAYLOAD_KEYS must be set"),
        ({"EMITONCE_PAYLOAD_KEYS": ""}, "EMITONCE_PAYLOAD_KEYS must be set"),
        ({"EMITONCE_CREDENTIAL_KEYS": None}, "must both be set"),
        ({"EMITONCE_INSTANCE_SECRET": None}, "must both be set"),
        ({"EMITONCE_PAYLOAD_KEYS": f"p1:{encoded(random_key(2)[:31])}"}, "31 bytes, needs 32"),
        ({"EMITONCE_PAYLOAD_KEYS": "p1:hunter2!"}, "is not base64"),
        ({"EMITONCE_PAYLOAD_KEYS": f"p1:{encoded(b'a' * 32)}"}, "is not a random value"),
        ({"EMITONCE_INSTANCE_SECRET": encoded(b"hunter2!" * 4)}, "is not a random value"),
        ({"EMITONCE_CREDENTIAL_KEYS": f"c1:{encoded(b'0123' * 8)}"}, "is not a random value"),
        ({"EMITONCE_PAYLOAD_KEYS": f"p1:{encoded(random_key(1))}"}, "the same as credential key"),
        ({"EMITONCE_INSTANCE_SECRET": encoded(random_key(2))}, "the same as payload key 'p2'"),
        (
            {
                "EMITONCE_PAYLOAD_KEYS": f"p1:{encoded(random_key(2))},p2:{encoded(random_key(2))}",
            },
            "'p2' repeats an earlier one",
        ),
        ({"EMITONCE_PAYLOAD_ENCRYPTION": "false"}, "EMITONCE_PAYLOAD_ENCRYPTION to be off"),
        ({"EMITONCE_CODEC_TOKEN": "short"}, "needs at least 32 characters"),
        ({"EMITONCE_KEY_PROVIDER": "nowhere:at_all"}, "EMITONCE_KEY_PROVIDER"),
        ({"EMITONCE_KEY_PROVIDER": "os"}, "EMITONCE_KEY_PROVIDER"),
    ],
)
def test_it_refuses_to_start(monkeypatch, tmp_path, changes, reason) -> None:
    with pytest.raises(SettingsError, match=reason) as caught:
        load(monkeypatch, **changes)
    assert "hunter2" not in str(caught.value)
    for seed in range(1, 5):
        assert encoded(random_key(seed))[:10] not in str(caught.value)
    assert not (tmp_path / "data").exists()


def test_what_is_missing_comes_with_how_to_make_it(monkeypatch) -> None:
    with pytest.raises(SettingsError, match=r'python3 -c "import base64,os;'):
        load(monkeypatch, EMITONCE_PAYLOAD_KEYS=None)


def test_keys_come_from_files(monkeypatch, tmp_path) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name, value in GOOD.items():
        if name != "EMITONCE_ENV":
            (folder / name.lower()).write_text(f"{value}\n")
    monkeypatch.setenv("EMITONCE_ENV", "production")
    assert list(load_secrets(Settings()).payload_keys) == ["p2", "p1"]


class FromAVault:
    def __init__(self, settings: Settings) -> None:
        assert settings.env == "production"

    def secrets(self) -> Secrets:
        return Secrets({"v1": random_key(5)}, random_key(6), {"v2": random_key(7)})


def test_a_key_provider_is_asked_instead_of_the_settings(monkeypatch) -> None:
    provider = f"{__name__}:FromAVault"
    secrets = load(monkeypatch, EMITONCE_KEY_PROVIDER=provider, EMITONCE_PAYLOAD_KEYS=None)
    assert (list(secrets.credential_keys), list(secrets.payload_keys)) == (["v1"], ["v2"])


def test_development_encrypts_with_a_key_of_its_own_and_may_be_told_not_to(monkeypatch) -> None:
    assert load_secrets(Settings()).payload_ring().current is not None
    monkeypatch.setenv("EMITONCE_PAYLOAD_ENCRYPTION", "false")
    ring = load_secrets(Settings()).payload_ring()
    assert ring.current is None
    assert len(ring.check_values) == 1  # what was encrypted before can still be read


def test_secrets_are_shown_nowhere(monkeypatch) -> None:
    secrets = load(monkeypatch)
    settings = Settings()
    shown = f"{secrets} {secrets!r} {settings!r} {settings.model_dump_json()} {LocalKeys(settings)}"
    for seed in range(1, 5):
        assert encoded(random_key(seed)) not in shown
        assert repr(random_key(seed)) not in shown


ELSEWHERE = [
    ("EMITONCE_CUSTOMERIO_URL_US", "http://cdp.example.com/v1"),
    ("EMITONCE_CUSTOMERIO_URL_EU", "http://34.107.200.1/v1"),
    ("EMITONCE_CUSTOMERIO_URL_EU", "http://580601857/v1"),  # 34.155.72.1
    ("EMITONCE_ALERT_URL", "http://hooks.example.com/hunter2"),
    ("EMITONCE_ALERT_URL", "http://hooks.example.com#@postgres/hunter2"),
    ("EMITONCE_ALERT_HEARTBEAT_URL", "HTTP://hc-ping.example.com/hunter2"),
    ("EMITONCE_DATABASE_URL", "postgresql://e:hunter2@db.example.com/e"),
    ("EMITONCE_DATABASE_URL", "postgresql://e:hunter2@db.example.com/e?sslmode=prefer"),
    ("EMITONCE_DATABASE_URL", "postgresql://e:hunter2@34.107.200.1:5432/e?sslmode=disable"),
    ("EMITONCE_DATABASE_URL", "postgresql://e:hunter2@postgres,db.example.com:5432/e"),
    ("EMITONCE_DATABASE_URL", "postgresql:///e?host=db.example.com&sslmode=allow"),
    ("EMITONCE_DATABASE_URL", "postgresql:///e?host=2606:4700::1111"),
    ("EMITONCE_DATABASE_URL", "postgresql:///e?service=production"),  # whose file says where
    ("EMITONCE_DATABASE_URL", "postgresql://e:hunter2\uff0f@db.example.com/e"),
    ("TEMPORAL_ADDRESS", "temporal.example.com:7233"),
    ("TEMPORAL_ADDRESS", "[2606:4700::1111]:7233"),
]
OWN_OR_ENCRYPTED = [
    ("EMITONCE_CUSTOMERIO_URL_US", "http://simulator:9100/v1"),
    ("EMITONCE_CUSTOMERIO_URL_US", "https://cdp.example.com/v1"),
    ("EMITONCE_ALERT_URL", "http://alertmanager.monitoring.internal/x"),
    ("EMITONCE_ALERT_HEARTBEAT_URL", "http://10.0.0.9/x"),
    ("EMITONCE_DATABASE_URL", "postgresql://e:hunter2@postgres:5432/e"),
    ("EMITONCE_DATABASE_URL", "postgresql://e:hunter2@[fd00::5]:5432/e?sslmode=disable"),
    ("EMITONCE_DATABASE_URL", "postgresql:///e?host=/var/run/postgresql"),
    ("EMITONCE_DATABASE_URL", "postgresql://e:hunter2@%2Fvar%2Frun%2Fpostgresql/e"),
    ("EMITONCE_DATABASE_URL", "postgresql:///e?service=production&sslmode=require"),
    ("EMITONCE_DATABASE_URL", "postgresql://e:hunter2@postgres/e?service=production"),
    ("EMITONCE_DATABASE_URL", "postgresql://e:hunter2@db.example.com/e?sslmode=require"),
    ("EMITONCE_DATABASE_URL", "postgresql://e:hunter2@db.example.com/e?sslmode=verify-full"),
    ("TEMPORAL_ADDRESS", "temporal:7233"),
    ("TEMPORAL_ADDRESS", "temporal-frontend.temporal.svc.cluster.local:7233"),
]


@pytest.mark.parametrize(("name", "value"), ELSEWHERE)
def test_nothing_goes_to_another_network_in_clear_text(monkeypatch, name, value) -> None:
    with pytest.raises(SettingsError, match=f"does not allow {name} to reach") as caught:
        load(monkeypatch, **{name: value})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(("name", "value"), OWN_OR_ENCRYPTED)
def test_the_own_network_and_tls_are_allowed(monkeypatch, name, value) -> None:
    load(monkeypatch, **{name: value})


def test_an_alert_target_that_is_set_by_command_is_held_to_it_too(monkeypatch) -> None:
    monkeypatch.setenv("EMITONCE_ENV", "production")
    for option in ({"url": "http://hooks.example.com"}, {"heartbeat_url": "http://hc.example.com"}):
        with pytest.raises(SettingsError, match="to reach another network in clear text"):
            set_target(**option)


def test_development_may_use_clear_text(monkeypatch) -> None:
    for name, value in ELSEWHERE:
        load(monkeypatch, EMITONCE_ENV="development", **{name: value})


@pytest.mark.parametrize(
    "tls", [{"TEMPORAL_TLS": "true"}, {"TEMPORAL_API_KEY": "key"}], ids=["TLS", "API key"]
)
def test_temporal_elsewhere_is_reached_with_tls(monkeypatch, tls) -> None:
    load(monkeypatch, TEMPORAL_ADDRESS="temporal.example.com:7233", **tls)


def test_libpq_s_variables_count_too(monkeypatch) -> None:
    with pytest.raises(SettingsError, match="EMITONCE_DATABASE_URL"):
        load(monkeypatch, EMITONCE_DATABASE_URL="postgresql:///e", PGHOST="db.example.com")
    load(
        monkeypatch,
        EMITONCE_DATABASE_URL="postgresql:///e",
        PGHOST="db.example.com",
        PGSSLMODE="verify-full",
    )
