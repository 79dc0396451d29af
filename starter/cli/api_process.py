"""The process of `emitonce api`: settings → Temporal client, catalog, console → HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from operations.key_watch import watched_keys
from process import (
    connect_observed,
    keep_what_is_loaded,
    observed,
    on_signals,
    open_catalog,
    open_clients,
)
from settings import Settings, load_secrets
from starter.api import Dependencies, served
from starter.api.codec import CodecAccess, ui_origins
from starter.api.quotas import Quotas
from starter.console import Console

log = structlog.get_logger()


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
            largest_payload=settings.largest_event_kib * 1024,
            key_days=settings.key_days,
            audit_days=settings.audit_days,
            quotas=Quotas(
                settings.quota_key_events,
                settings.quota_key_bytes,
                settings.quota_workspace_events,
                settings.quota_workspace_bytes,
            ),
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
                    console=Console(parts),
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
