"""What the compose file opens, limits and hands out, read from the file itself.

`tests/compose` brings it up, where a Docker daemon runs.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
EVERY = pytest.mark.parametrize("name", SERVICES)


def secrets_of(name: str) -> set[str]:
    """The names of the files that a service is given."""
    given = SERVICES[name].get("secrets", [])
    return {one if isinstance(one, str) else one["source"] for one in given}


@EVERY
def test_nothing_is_open_beyond_this_machine_and_databases_are_not_open_at_all(name: str) -> None:
    ports = SERVICES[name].get("ports", [])
    assert all(port.startswith("127.0.0.1:") for port in ports)
    if name in ("postgres", "temporal"):
        assert ports == []


@EVERY
def test_every_service_is_limited(name: str) -> None:
    service = SERVICES[name]
    assert service["mem_limit"]
    assert service["cpus"]
    assert service["pids_limit"]
    assert service["logging"]["options"]["max-size"]
    assert service["networks"]
    assert "no-new-privileges:true" in service.get("security_opt", []) or name == "postgres"


def test_networks_join_those_that_talk_to_each_other() -> None:
    def meet(one: str, other: str) -> bool:
        return bool(set(SERVICES[one]["networks"]) & set(SERVICES[other]["networks"]))

    for one, other in (
        ("api", "postgres"),
        ("worker", "temporal"),
        ("temporal", "postgres"),
        ("temporal-ui", "temporal"),
        ("prometheus", "temporal"),
        ("grafana", "prometheus"),
    ):
        assert meet(one, other), (one, other)
    for one, other in (
        ("temporal-ui", "postgres"),
        ("temporal-ui", "api"),
        ("grafana", "postgres"),
        ("grafana", "temporal"),
        ("prometheus", "postgres"),
        ("simulator", "postgres"),
        ("simulator", "temporal"),
    ):
        assert not meet(one, other), (one, other)
    # The roles of PostgreSQL are two networks, too.
    assert not set(SERVICES["temporal"]["networks"]) & set(SERVICES["migrate"]["networks"])


def test_each_service_is_given_the_secrets_that_it_needs() -> None:
    assert secrets_of("migrate") == {"emitonce_database_url"}
    assert secrets_of("simulator") == set()
    for name in ("worker", "api"):
        assert "emitonce_app_database_url" in secrets_of(name)
        assert "emitonce_database_url" not in secrets_of(name)
    given = set().union(*map(secrets_of, SERVICES))
    assert given == set(COMPOSE["secrets"])
    assert not any("ca.key" in name for name in given)


def test_temporal_answers_clients_with_a_certificate_alone() -> None:
    environment = SERVICES["temporal"]["environment"]
    assert environment["TEMPORAL_TLS_REQUIRE_CLIENT_AUTH"] == "true"
    for name, value in environment.items():
        if name.startswith("TEMPORAL_TLS") and str(value).startswith("/run/secrets/"):
            assert value.removeprefix("/run/secrets/") in secrets_of("temporal")
    for name in ("worker", "api", "temporal-namespace"):
        client = SERVICES[name]["environment"]
        for variable in ("SERVER_CA_CERT", "CLIENT_CERT", "CLIENT_KEY"):
            file = client[f"TEMPORAL_TLS_{variable}_PATH"].removeprefix("/run/secrets/")
            assert file in secrets_of(name)


def test_secrets_that_are_made_are_those_that_are_mounted(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    script = tmp_path / "deploy" / "make-secrets.sh"
    script.write_text((ROOT / "deploy" / "make-secrets.sh").read_text())
    for _ in range(2):  # again: what is there stays
        subprocess.run(["sh", script], check=True, timeout=60, capture_output=True)
        made = {path.name: path.read_bytes() for path in (tmp_path / "secrets").iterdir()}
    subprocess.run(["sh", script], check=True, timeout=60, capture_output=True)
    assert made == {path.name: path.read_bytes() for path in (tmp_path / "secrets").iterdir()}
    for name, secret in COMPOSE["secrets"].items():
        assert secret["file"] == f"./secrets/{name}"
        assert made[name]
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "secrets" / "temporal_ca.key").stat().st_mode & 0o777 == 0o600
    verify = ["openssl", "verify", "-CAfile", tmp_path / "secrets" / "temporal_ca.crt"]
    for name in ("server", "emitonce", "ui", "admin"):
        certificate = tmp_path / "secrets" / f"temporal_{name}.crt"
        subprocess.run([*verify, certificate], check=True, capture_output=True)
