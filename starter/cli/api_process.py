"""The process of `emitonce api`: settings → Temporal client, catalog, console → HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from catalog.scopes import PAYLOAD, ROLES, scopes_of_roles
from destinations.http.exchange import Http
from key_provider import load_secrets
from operations.key_watch import watched_keys
from process import (
    connect_observed,
    keep_what_is_loaded,
    observed,
    on_signals,
    open_catalog,
    open_clients,
)
from settings import Settings, SettingsError
from starter.api import Dependencies, served
from starter.api.codec import CodecAccess, ui_origins
from starter.api.quotas import Quotas
from starter.console import Console
from starter.console.single_sign_on import CALLBACK, Client, SingleSignOn
from starter.mcp import over_http

log = structlog.get_logger()

CONNECTIONS_TO_PROVIDER = 10


async def run_api(settings: Settings, *, ready: Callable[[str], None]) -> None:
    """Serve API and console until SIGINT or SIGTERM; requests in flight finish.

    `ready` is called with the URL once it listens.

    Raises:
        TemporalUnreachable, CatalogError, SettingsError, AddressTaken: the API could not start.
    """
    secrets = load_secrets(settings)
    async with (
        observed(settings, role="api") as telemetry,
        open_catalog(settings, secrets) as catalog,
        open_clients(settings) as clients,
        Http(CONNECTIONS_TO_PROVIDER) as http,
    ):
        client = await connect_observed(settings, secrets, telemetry)
        parts = Dependencies(
            client=client,
            catalog=catalog,
            clients=clients,
            instance_secret=secrets.instance_secret,
            task_queue=settings.task_queue,
            ui_url=settings.ui_url,
            public_url=settings.public_url,
            runbook_url=settings.runbook_url,
            largest_payload=settings.largest_event_kib * 1024,
            key_days=settings.key_days,
            audit_days=settings.audit_days,
            embed_origins=settings.embed_origins,
            quotas=Quotas(*settings.quotas),
            meter=telemetry.meter,
            codec=CodecAccess(settings.codec_token, ui_origins(settings.ui_url))
            if settings.codec_token
            else None,
        )
        stop = asyncio.Event()
        with on_signals(stop):
            async with (
                watched_keys(client, catalog, settings.task_queue, role="api"),
                served(
                    parts,
                    host=settings.http_host,
                    port=settings.http_port,
                    console=Console(parts, single_sign_on=single_sign_on(settings, http)),
                    assistants=over_http(settings.mcp),
                    trusted_proxies=settings.trusted_proxies,
                    max_connections=settings.http_connections,
                    ended=stop.set,
                ) as url,
            ):
                keep_what_is_loaded()
                log.info("API started", http=url)
                ready(url)
                await stop.wait()
                log.info("API stopping")


def single_sign_on(settings: Settings, http: Http) -> SingleSignOn | None:
    """Return the provider that people sign in at, or None if the settings name none.

    Raises:
        SettingsError: EMITONCE_OIDC_ROLES names a role that doesn't exist, or none.
    """
    if settings.oidc_issuer is None or settings.oidc_client_id is None:
        return None
    for text in settings.oidc_roles.values():
        if not scopes_of_roles(text.split()) or set(text.split()) - {*ROLES, PAYLOAD}:
            raise SettingsError(
                f"EMITONCE_OIDC_ROLES: {text!r} must have one of {', '.join(ROLES)}, and may have "
                f"{PAYLOAD} as well"
            )
    client = Client(
        issuer=settings.oidc_issuer,
        id=settings.oidc_client_id,
        redirect_url=f"{settings.public_url}{CALLBACK}",
        secret=settings.oidc_client_secret,
        scopes=settings.oidc_scopes,
        roles_claim=settings.oidc_roles_claim,
        roles=settings.oidc_roles,
    )
    return SingleSignOn(client, http)
