"""Run everything on one machine: Temporal and its Web UI, PostgreSQL, simulators, worker, API.

While a stack runs, `dev.json` in its data directory has the addresses of its parts, so that
commands in other terminals need no settings.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count, repeat
from typing import Any

from pydantic import SecretStr
from temporalio.client import Client

from catalog import Catalog
from destinations.destination import Client as DestinationClient
from destinations.simulators import Simulators, base_urls, open_simulators
from emitonce import Emitter
from emitonce.codec import EncryptionCodec
from engine.connect import connect
from engine.search_attributes import register_search_attributes
from key_provider import load_secrets
from process import migrate_database, open_catalog, open_clients
from settings import Settings, SettingsError
from starter.api import Dependencies, served
from starter.api.codec import CodecAccess, ui_origins
from starter.api.quotas import Quotas
from starter.console import Console, development_key
from starter.dev.codec_server import listen, serve_codec
from starter.dev.database import database_url
from starter.dev.running_stack import DevPorts, alone, announced
from starter.dev.server_binary import Say
from starter.dev.temporal_server import DevServer, Ports
from starter.mcp import over_http
from worker import open_worker

HOST = "127.0.0.1"


@dataclass(frozen=True)
class DevStack:
    """A running stack. `simulators` are none if the settings have addresses of vendors.

    Anyone who knows `console`, the address that opens the console signed in, may do everything.
    """

    client: Client
    catalog: Catalog
    clients: Mapping[str, DestinationClient]
    simulators: Simulators
    emitter: Emitter
    ui: str | None
    console: str
    addresses: Mapping[str, Any]
    """What `emitonce dev --json` prints once the stack is up."""


@asynccontextmanager
async def open_dev_stack(
    settings: Settings,
    ports: DevPorts,
    *,
    say: Say = lambda _: None,
    vendor_region: str | None = None,
) -> AsyncIterator[DevStack]:
    """Start all parts; they end in reverse order when the context is left.

    `vendor_region` is served by Customer.io itself, the other one by the simulator.

    Raises:
        SettingsError: production, or a stack is up on the same data directory already.
        DevServerError, NoServerBinary: the Temporal server.
        AddressTaken: something else listens where the HTTP API should.
    """
    settings.forbid_in_production("the development stack", "start worker and API by themselves")
    async with AsyncExitStack() as parts:
        parts.enter_context(alone(settings.data_dir))
        secrets = load_secrets(settings)
        listening, codec = listen()
        parts.callback(listening.close)
        temporal, ui = await _temporal(parts, settings, ports, codec, say)
        await parts.enter_async_context(
            serve_codec(
                listening,
                EncryptionCodec(secrets.payload_ring()),
                CodecAccess(origins=ui_origins(ui)),
            )
        )
        simulators: Simulators = {}
        urls: dict[str, str] = {}
        if not settings.urls_by_type():
            simulators = await _simulators(parts, ports)
            urls = base_urls(simulators)
            urls.pop(f"customer_io.{vendor_region}", None)
            settings = settings.model_copy(update={"base_urls": urls})
        settings = settings.model_copy(update={"ui_url": ui})
        database = await parts.enter_async_context(database_url(settings))
        await migrate_database(database)
        settings = settings.model_copy(update={"database_url": SecretStr(database)})
        catalog = await parts.enter_async_context(open_catalog(settings, secrets))
        clients = await parts.enter_async_context(open_clients(settings))
        client = await connect(
            temporal,
            timeout_seconds=settings.connect_timeout_seconds,
            keys=secrets.payload_ring(),
        )
        await register_search_attributes(client)
        await parts.enter_async_context(open_worker(client, catalog, clients, settings))
        api = Dependencies(
            client=client,
            catalog=catalog,
            clients=clients,
            instance_secret=secrets.instance_secret,
            task_queue=settings.task_queue,
            ui_url=ui,
            runbook_url=settings.runbook_url,
            quotas=Quotas(*settings.quotas),
            largest_payload=settings.largest_event_kib * 1024,
            key_days=settings.key_days,
            audit_days=settings.audit_days,
            embed_origins=settings.embed_origins,
        )
        organization = (await catalog.organizations.default()).id
        key = await development_key(catalog, organization, settings.data_dir)
        http = await parts.enter_async_context(
            served(
                api,
                host=settings.http_host,
                port=ports.http,
                console=Console(api, development=key),
                assistants=over_http(settings.mcp),
            )
        )
        console, seen = f"{http}{key.sign_in_path}", base_urls(simulators)
        addresses = {
            "ready": True,
            "temporal": temporal,
            "ui": ui,
            "codec": codec,
            "http": http,
            "simulator": seen["customer_io.us"].removesuffix("/v1") if seen else None,
            "simulator_eu": seen["customer_io.eu"].removesuffix("/v1") if seen else None,
            "base_urls": urls,
            "database": database,
        }
        parts.enter_context(announced(settings.data_dir, addresses))
        yield DevStack(
            client=client,
            catalog=catalog,
            clients=clients,
            simulators=simulators,
            emitter=Emitter(
                client, instance_secret=secrets.instance_secret, task_queue=settings.task_queue
            ),
            ui=ui,
            console=console,
            addresses=addresses | {"console": console},
        )


async def _temporal(
    parts: AsyncExitStack, settings: Settings, ports: DevPorts, codec: str, say: Say
) -> tuple[str, str | None]:
    """Address and Web UI of the server that `TEMPORAL_ADDRESS` names, or of one started here.

    The Web UI of one started here shows what `codec` decodes.
    """
    given = os.environ.get("TEMPORAL_ADDRESS")
    if given:
        return given, settings.ui_url
    server = await DevServer.start(
        settings.data_dir,
        ports=Ports(server=ports.temporal, ui=ports.ui),
        codec_endpoint=codec,
        say=say,
    )
    parts.push_async_callback(server.stop)
    return server.address, server.ui_url


async def _simulators(parts: AsyncExitStack, ports: DevPorts) -> Simulators:
    first = ports.simulator
    try:
        return await parts.enter_async_context(
            open_simulators(count(first) if first else repeat(0), keep_requests=10_000)
        )
    except OSError:
        raise SettingsError(
            f"port {first} or one of those after it, meant for the simulators, is taken: "
            "choose another with --simulator-port (0: any free one)"
        ) from None
