"""Every setting: its default, its unit, and what goes wrong when it is wrong.

The secrets among them are read by `key_provider.load_secrets`.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as NotJson
from temporalio.envconfig import ClientConfig

from clear_text import clear_database, clear_temporal, clear_url
from delivery.validation import problem
from emitonce.key_ring import KeyRing
from emitonce.version import __version__

# Each with its port.
PrivateHosts = frozenset[tuple[str, int]]


class SettingsError(Exception):
    """A setting is missing or contradicts another; the message names it and the remedy."""


def _hosts(text: str) -> PrivateHosts:
    return frozenset(_host_and_port(item.strip()) for item in text.split(",") if item.strip())


def _host_and_port(text: str) -> tuple[str, int]:
    """Raises `ValueError`."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ValueError(f"{text!r} is not a host and a port, such as 10.0.0.5:8080")
    return host.strip("[]").lower(), int(port)


def _origins(text: str) -> tuple[str, ...]:
    return tuple(_origin(item.strip()) for item in text.split(",") if item.strip())


def _origin(text: str) -> str:
    """Raises `ValueError`."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
        raise ValueError(
            "must be a scheme and a host, such as https://events.example.com, without a path"
        )
    return f"{parts.scheme}://{parts.netloc}".lower()


def _networks(text: str) -> str:
    """Raises `ValueError`."""
    for item in text.split(","):
        try:
            ipaddress.ip_network(item.strip() or "127.0.0.1")
        except ValueError:
            raise ValueError(
                f"{item.strip()!r} is not an address or a network, such as 10.1.0.0/16"
            ) from None
    return text


class Settings(BaseSettings):
    """Read from the environment, prefix `EMITONCE_`, then from files of the same names in small
    letters in `/run/secrets` (another folder: `EMITONCE_SECRETS_DIR`), where containers find
    secrets.

    Where Temporal is comes from its own standard variables (`TEMPORAL_ADDRESS`,
    `TEMPORAL_NAMESPACE`, `TEMPORAL_API_KEY`, `TEMPORAL_TLS*`), read by `temporalio.envconfig`.

    Raises `SettingsError` for a value that can't be right, and in production for a server in
    another network that would be reached in clear text.
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

    base_urls: dict[str, str] = {}
    """JSON by `type` or `type.region` of what stands before the paths that a vendor documents, for
    a vendor's test double. Absent: the vendor's own."""

    customerio_url_us: str | None = None
    customerio_url_eu: str | None = None
    """Base URLs that end in `/v1`; older names for two of `base_urls`."""

    allowed_private_hosts: Annotated[PrivateHosts, NoDecode, BeforeValidator(_hosts)] = Field(
        default=frozenset(), validate_default=False
    )
    """`host:port`, several separated by commas, such as `receiver.internal:8080`, to which webhooks
    may be sent although they are not on the internet, and without TLS. Every tenant can make the
    workers send requests there."""

    credential_keys: SecretStr | None = None
    """`id:base64 of 32 bytes`, several separated by commas; the first encrypts, all decrypt.
    Losing them loses the stored secrets of every connection."""

    payload_keys: SecretStr | None = None
    """`id:base64 of 32 bytes`, several separated by commas, the newest first. Encrypt what Temporal
    stores of events; `emitonce keys rotate` puts a new one to use. Losing one makes the events
    written with it unreadable and stops those that are still under way."""

    payload_encryption: bool = True
    """Off, whoever reads Temporal's database or Web UI reads people's data. Development only."""

    key_provider: str | None = None
    """`module:callable` that is given these settings and returns a `KeyProvider`, such as one that
    asks a key management service. Absent: keys come from the settings above."""

    codec_token: SecretStr | None = None
    """What a caller of `/codec` has to show as a bearer token; at least 32 characters. Whoever has
    it can read every event. Absent: there is no `/codec`."""

    instance_secret: SecretStr | None = None
    """Base64 of at least 32 bytes. Turns idempotency keys into event ids and resource ids into
    search attributes; changing it makes the same idempotency key start a second event."""

    task_queue: str = "deliveries"
    """Where workers find events. Whoever starts workflows needs the same."""

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
    on the build that they started with. A build gets no work before it is made the current one, so
    leave this out in development."""

    build_id: str | None = None
    """What runs, such as a commit; the image brings its own."""

    alert_url: SecretStr | None = None
    """Where alerts are posted, signed by the Standard Webhooks scheme, unless the catalog names a
    target (`emitonce alerts set`). Absent in both: none are sent. A secret, since such URLs often
    hold one. Every worker needs the same."""

    alert_secret: SecretStr | None = None
    """`whsec_` and base64 of 24 to 64 bytes; the receiver checks the signature with it."""

    alert_format: Literal["signed", "slack"] = "signed"
    """The format of alerts: signed, or as Slack's incoming webhooks accept them, which need no
    secret."""

    runbook_url: str = "docs/runbook.md"
    """Where people read `docs/runbook.md`: alerts link to its sections."""

    alert_heartbeat_url: SecretStr | None = None
    """Requested by GET after each successful check, every `alert_every_seconds`: a dead man's
    switch, such as healthchecks.io, raises the alarm when the requests stop. Goes with
    `alert_url`."""

    alert_every_seconds: float = Field(default=15, gt=0)
    """How long it may take until an alert is on its way."""

    alert_backlog_minutes: float = Field(default=15, gt=0)
    """An event that has been under way for longer, and isn't held, makes an alert."""

    key_grace_minutes: float = Field(default=10, ge=0)
    """While PostgreSQL is unavailable, keys that were valid within this many minutes still emit
    events over HTTP. A key that is revoked meanwhile emits until PostgreSQL is back, or until this
    time is over. 0: no event is accepted without PostgreSQL."""

    largest_event_kib: int = Field(default=256, ge=1, le=256)
    """How large an event that comes in over HTTP may be, in KiB. It can only be lowered: 256 KiB is
    what workers accept from other clients too. Too low: legitimate events are answered 413."""

    http_host: str = "127.0.0.1"
    """Where the HTTP API listens. Beyond this machine it belongs behind a proxy that ends TLS: keys
    and events would travel in clear text."""

    http_port: int = Field(default=8080, ge=0, le=65_535)
    """0: any free one."""

    http_connections: int = Field(default=1_000, ge=10)
    """How many connections one API process has open at a time. Beyond that, the ones whose callers
    have kept it waiting longest are closed; if it waits for none of them, new ones are."""

    workspace: str | None = None
    """The workspace, by id or name, for commands that don't name one. Absent: the one that
    `emitonce use` chose, or the only one."""

    key_days: int = Field(default=365, ge=0)
    """After how many days a new machine key or token expires, unless another time is given when it
    is created; 0: never."""

    audit_days: int = Field(default=400, ge=30)
    """For how many days it is kept who changed what."""

    embed_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_origins)] = Field(
        default=(), validate_default=False
    )
    """Origins of pages that may embed the console's, separated by commas, such as
    `https://app.example.com`, for sessions that name none. Absent: only sessions that name theirs
    can be embedded."""

    mcp: bool = False
    """Serve the tools for assistants at `/mcp` of the API, to whoever has a token with the scope
    `read`. Needs the extra `mcp`, which the image has."""

    quota_key_events: int = Field(default=30_000, ge=1)
    """How many events one key may emit over HTTP a minute; a batch counts its events. A key's own
    quota takes precedence (`emitonce keys quota`). Each API process needs the same."""

    quota_key_bytes: int = Field(default=32 * 1024 * 1024, ge=1)
    """The same in bytes of request bodies. Beyond either a caller is answered 429."""

    quota_workspace_events: int = Field(default=60_000, ge=1)
    """How many events all keys together may emit into one workspace a minute, publishable ones half
    as many, so that a page leaves room for backends (`emitonce workspaces quota`)."""

    quota_workspace_bytes: int = Field(default=64 * 1024 * 1024, ge=1)
    """The same in bytes of request bodies."""

    public_url: Annotated[str, AfterValidator(_origin)] | None = None
    """Where people and programs reach the API and console, such as `https://events.example.com`.
    Forms are accepted from its pages only. If it is `https`, cookies are sent over TLS only, and
    browsers are asked to keep using TLS."""

    oidc_issuer: str | None = None
    """The OpenID Connect provider that people sign in to the console at, such as
    `https://login.example.com`, exactly as its discovery document names itself. Register
    `<public_url>/sign-in/callback` there. Absent: people sign in with keys only."""

    oidc_client_id: str | None = None
    """The console's client id at the provider. Goes with `oidc_issuer` and `public_url`."""

    oidc_client_secret: SecretStr | None = None
    """The console's secret at the provider. Absent: a public client, which uses only PKCE."""

    oidc_scopes: str = "openid profile"
    """The scopes to request, separated by spaces. Some providers send groups only for `groups`."""

    oidc_roles_claim: str = "roles"
    """The claim of the ID token that says who may do what: `viewer`, `operator` or `admin`, one or
    several, and `payload` beside one to see payloads, which an admin does anyway. Whoever has no
    role is not let in."""

    oidc_roles: dict[str, str] = {}
    """JSON by value of that claim, such as `{"support": "operator payload"}` of groups. The claim
    may be `email`, if it is verified, or `sub`: then it is a table of people. Absent: the claim
    names the roles itself."""

    trusted_proxies: Annotated[str, AfterValidator(_networks)] | None = None
    """Addresses and networks of the proxies in front of the API, separated by commas, such as
    `10.0.0.5, 10.1.0.0/16`. Their X-Forwarded-For and X-Forwarded-Proto are believed, nobody
    else's are. Without it, all callers behind a proxy share its address, and so one limit of failed
    sign-ins."""

    ui_url: str | None = None
    """Where people open the Temporal Web UI, such as `http://127.0.0.1:8233`; only for links."""

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as err:
            faults = err.errors(include_url=False, include_input=False)
            raise SettingsError("; ".join(map(_named, faults))) from None
        except NotJson as err:
            raise SettingsError(f"{err}: it must be JSON") from None
        if self.oidc_issuer and not (self.oidc_client_id and self.public_url):
            raise SettingsError(
                "EMITONCE_OIDC_ISSUER needs EMITONCE_OIDC_CLIENT_ID and EMITONCE_PUBLIC_URL: set "
                "both"
            )
        if self.env == "production":
            self._refuse_clear_text()

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

    def _refuse_clear_text(self) -> None:
        urls = {
            **{f"EMITONCE_BASE_URLS ({name})": url for name, url in self.base_urls.items()},
            "EMITONCE_OIDC_ISSUER": self.oidc_issuer,
            "EMITONCE_CUSTOMERIO_URL_US": self.customerio_url_us,
            "EMITONCE_CUSTOMERIO_URL_EU": self.customerio_url_eu,
            "EMITONCE_ALERT_URL": _revealed(self.alert_url),
            "EMITONCE_ALERT_HEARTBEAT_URL": _revealed(self.alert_heartbeat_url),
        }
        for name, url in urls.items():
            if url and clear_url(url):
                self.forbid_in_production(
                    f"{name} to reach another network in clear text", "start it with https://"
                )
        database = _revealed(self.database_url)
        if database and clear_database(database, os.environ):
            self.forbid_in_production(
                "EMITONCE_DATABASE_URL to reach another network without TLS",
                "add sslmode=verify-full to it, with sslrootcert=system or the path of the "
                "authority that signed the server's certificate",
            )
        if clear_temporal(ClientConfig.load_client_connect_config()):
            self.forbid_in_production(
                "TEMPORAL_ADDRESS to reach another network without TLS",
                "set TEMPORAL_API_KEY, TEMPORAL_TLS=true, or TEMPORAL_TLS_CLIENT_CERT_PATH and "
                "TEMPORAL_TLS_CLIENT_KEY_PATH",
            )

    @property
    def quotas(self) -> tuple[int, int, int, int]:
        """Events and bytes per minute of a key, and of a workspace."""
        return (
            self.quota_key_events,
            self.quota_key_bytes,
            self.quota_workspace_events,
            self.quota_workspace_bytes,
        )

    @property
    def release(self) -> str:
        """What runs: the version, and the build where one is named."""
        return f"{__version__}+{self.build_id}" if self.build_id else __version__

    def urls_by_type(self) -> dict[str, dict[str, str]]:
        """What replaces vendors' own base URLs, by destination type and region (or "")."""
        old_names = {
            "customer_io.us": self.customerio_url_us,
            "customer_io.eu": self.customerio_url_eu,
        }
        found: dict[str, dict[str, str]] = {}
        for name, url in (old_names | self.base_urls).items():
            type, _, region = name.partition(".")
            if url:
                found.setdefault(type, {})[region] = url
        return found

    def forbid_in_production(self, what: str, remedy: str) -> None:
        """Raises `SettingsError` in production, where nothing is embedded or generated."""
        if self.env == "production":
            raise SettingsError(f"EMITONCE_ENV=production does not allow {what}: {remedy}")


def _revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def _named(fault: Any) -> str:
    return f"EMITONCE_{'_'.join(map(str, fault['loc'])).upper()}: {problem(fault)}"


@dataclass(frozen=True)
class Secrets:
    """Keys by id, 32 bytes each, the newest first. `instance_secret`: raw bytes.

    Without `payload_keys`, or where `encrypt_payloads` is off, what Temporal stores is readable.
    """

    credential_keys: dict[str, bytes] = field(repr=False)
    instance_secret: bytes = field(repr=False)
    payload_keys: dict[str, bytes] = field(default_factory=dict, repr=False)
    encrypt_payloads: bool = True

    def payload_ring(self) -> KeyRing:
        """A ring of its own for each client of Temporal."""
        return KeyRing(self.payload_keys, encrypts=self.encrypt_payloads)


class KeyProvider(Protocol):
    """Where a process's secrets come from; asked once, when it starts."""

    def secrets(self) -> Secrets:
        """Raises `SettingsError` when there are none."""
