"""Every setting: its default, its unit, and what goes wrong when it is wrong."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

from destinations.customerio.client import VENDOR_URLS

KEY_BYTES = 32


class SettingsError(Exception):
    """A setting is missing or contradicts another; the message names it and the remedy."""


class Settings(BaseSettings):
    """Read from the environment, prefix `EMITONCE_`, then from files of the same names in small
    letters in `/run/secrets` (another folder: `EMITONCE_SECRETS_DIR`), where containers find
    secrets.

    Where Temporal is comes from its own standard variables (`TEMPORAL_ADDRESS`,
    `TEMPORAL_NAMESPACE`, `TEMPORAL_API_KEY`, `TEMPORAL_TLS*`), read by `temporalio.envconfig`.
    """

    model_config = SettingsConfigDict(
        env_prefix="EMITONCE_", env_ignore_empty=True, extra="ignore", frozen=True
    )

    env: Literal["development", "production"] = "development"
    """In production nothing is generated or embedded: every secret and server must be named."""

    data_dir: Path = Path(".emitonce")
    """Where development keeps its databases and generated secrets. Holds keys: not for sharing."""

    database_url: SecretStr | None = None
    """The catalog's PostgreSQL. Absent: an embedded one in `data_dir` (development only)."""

    customerio_url_us: str | None = None
    customerio_url_eu: str | None = None
    """Base URLs that end in `/v1`, for a test double of Customer.io. Absent: the vendor's own."""

    credential_keys: SecretStr | None = None
    """`id:base64 of 32 bytes`, several separated by commas; the first encrypts, all decrypt.
    Losing them loses every stored Customer.io key."""

    instance_secret: SecretStr | None = None
    """Base64 of at least 32 bytes. Turns idempotency keys into event ids and resource ids into
    search attributes; changing it makes the same idempotency key start a second event."""

    task_queue: str = "deliveries"

    workflow_sandbox: bool = False
    """Run workflows in the SDK's sandbox. It finds non-deterministic code in tests and costs about
    half of a worker's workflow throughput; what it finds is found before production."""

    max_activities: int = Field(default=100, ge=1)
    """Requests that one worker process has in flight at most."""

    shutdown_grace_seconds: float = Field(default=20, ge=0)
    """How long a stopping worker lets requests in flight finish; a request takes 10 s at most."""

    connect_timeout_seconds: float = Field(default=30, gt=0)
    """How long a starting process waits for Temporal and PostgreSQL before it gives up."""

    metrics_address: str | None = None
    """`host:port` where Prometheus finds the metrics of a worker or the API. Absent: none are
    served. Each process on one host needs a port of its own. The metrics name connections by id
    and hold no personal data, but are open to whoever reaches the port."""

    deployment: str | None = None
    """Worker Versioning: the name of the deployment whose `build_id` this worker is. Events stay
    on the build that they began with. A build gets no work before it is made the current one, so
    leave this out in development."""

    build_id: str | None = None
    """What runs, such as a commit; the image brings its own."""

    ui_url: str | None = None
    """Where people open the Temporal Web UI, such as `http://127.0.0.1:8233`; for links alone."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        folder = Path(os.environ.get("EMITONCE_SECRETS_DIR", "/run/secrets"))
        if not folder.is_dir():
            return init_settings, env_settings
        return init_settings, env_settings, SecretsSettingsSource(settings_cls, folder)

    def customerio_urls(self) -> dict[str, str]:
        """Base URLs by region: the vendor's own where no other is set."""
        given = {"us": self.customerio_url_us, "eu": self.customerio_url_eu}
        return dict(VENDOR_URLS) | {region: url for region, url in given.items() if url}

    def forbid_in_production(self, what: str, remedy: str) -> None:
        """Raises `SettingsError` in production, where nothing is embedded or generated."""
        if self.env == "production":
            raise SettingsError(f"EMITONCE_ENV=production does not allow {what}: {remedy}")


@dataclass(frozen=True)
class Secrets:
    """`credential_keys`: by id, 32 bytes each, the first encrypts. `instance_secret`: raw bytes."""

    credential_keys: dict[str, bytes]
    instance_secret: bytes


def load_secrets(settings: Settings) -> Secrets:
    """The secrets from the environment; in development, generated once into `data_dir`.

    Raises:
        SettingsError: a secret is missing in production, or malformed.
    """
    if settings.credential_keys and settings.instance_secret:
        return Secrets(
            credential_keys=_parse_keys(settings.credential_keys.get_secret_value()),
            instance_secret=_decode(
                "EMITONCE_INSTANCE_SECRET", settings.instance_secret.get_secret_value()
            ),
        )
    if settings.env == "production" or settings.credential_keys or settings.instance_secret:
        raise SettingsError(
            "EMITONCE_CREDENTIAL_KEYS and EMITONCE_INSTANCE_SECRET must both be set; make them "
            'with: python3 -c "import base64,os;print(base64.b64encode(os.urandom(32)).decode())" '
            "and write the former as k1:<value>"
        )
    return _development_secrets(settings.data_dir / "secrets.json")


def _development_secrets(path: Path) -> Secrets:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        fresh = {
            "credential_keys": f"dev:{_random_key()}",
            "instance_secret": _random_key(),
        }
        draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(fresh, file)
        with contextlib.suppress(FileExistsError):
            # Of two processes that start at once, the first one's secrets hold.
            os.link(draft, path)
        draft.unlink()
    try:
        stored = json.loads(path.read_text())
        return Secrets(
            credential_keys=_parse_keys(stored["credential_keys"]),
            instance_secret=_decode("instance_secret", stored["instance_secret"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, SettingsError):
        raise SettingsError(
            f"{path} is damaged: restore it, or delete it together with the databases beside it, "
            "whose credentials it encrypts"
        ) from None


def _random_key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def _parse_keys(text: str) -> dict[str, bytes]:
    keys: dict[str, bytes] = {}
    for entry in text.split(","):
        name, _, value = entry.strip().partition(":")
        if not name or not value:
            raise SettingsError("EMITONCE_CREDENTIAL_KEYS: each entry must read id:base64")
        if name in keys:
            raise SettingsError(f"EMITONCE_CREDENTIAL_KEYS: the id {name!r} stands twice")
        key = _decode("EMITONCE_CREDENTIAL_KEYS", value)
        if len(key) != KEY_BYTES:
            raise SettingsError(
                f"EMITONCE_CREDENTIAL_KEYS: key {name!r} has {len(key)} bytes, needs {KEY_BYTES}"
            )
        keys[name] = key
    return keys


def _decode(name: str, value: str) -> bytes:
    try:
        decoded = base64.b64decode(value, validate=True)
    except ValueError:
        raise SettingsError(f"{name}: is not base64") from None
    if len(decoded) < KEY_BYTES:
        raise SettingsError(f"{name}: has {len(decoded)} bytes, needs at least {KEY_BYTES}")
    return decoded
