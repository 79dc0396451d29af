"""`emitonce api` as a process in production mode, behind a proxy, and who calls it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from temporalio.client import Client

from catalog import Catalog
from catalog.connections import Connection
from catalog.encryption.cipher import CredentialCipher
from catalog.rules import Rule
from destinations import registry
from emitonce.ids import Hashes
from tests.api.caller import BASE, Machine
from tests.chaos.processes import Child

PUBLIC_URL = "https://events.example.com"
SETTINGS = {
    "EMITONCE_ENV": "production",
    "EMITONCE_PUBLIC_URL": PUBLIC_URL,
    "EMITONCE_TRUSTED_PROXIES": "127.0.0.1",
    "EMITONCE_HTTP_PORT": "0",
    "EMITONCE_MCP": "true",
}


@dataclass
class Production:
    """The process's URL, a tenant of it with its keys, and another tenant."""

    url: str
    http: httpx.AsyncClient
    client: Client
    catalog: Catalog
    organization: str
    workspace: str
    public_key: str
    machine: Machine
    stranger: Machine
    connection: Connection
    rule: Rule
    _addresses: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def host(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 0

    def new_address(self) -> dict[str, str]:
        """As the proxy names a caller that it hasn't seen before."""
        number = next(self._addresses)
        return {
            "X-Forwarded-For": f"198.{18 + number // 65536}.{number // 256 % 256}.{number % 256}"
        }

    async def emit(self, body: Any, *, path: str = "/events", **headers: str) -> httpx.Response:
        """As a page does, with the workspace's first publishable key."""
        return await self.http.post(
            BASE + path,
            content=body if isinstance(body, bytes) else json.dumps(body).encode(),
            headers={
                "X-Meshes-Publishable-Key": self.public_key,
                "Content-Type": "application/json",
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
        )

    async def call(
        self, method: str, path: str, body: Any = None, machine: Machine | None = None
    ) -> httpx.Response:
        """As a backend does."""
        headers = (machine or self.machine).headers()
        return await self.http.request(method, BASE + path, json=body, headers=headers)

    async def raw(self, sent: bytes, *, seconds: float = 20) -> bytes:
        """All that is answered to these bytes until the server closes the connection."""
        reader, writer = await asyncio.open_connection(*self.host)
        try:
            writer.write(sent)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            async with asyncio.timeout(seconds):
                with contextlib.suppress(ConnectionResetError):
                    return await reader.read()
                return b""
        finally:
            writer.close()


@asynccontextmanager
async def production(client: Client, database: str) -> AsyncIterator[Production]:
    """Run the process on a migrated database; it is ended in the end."""
    keys = [secrets.token_bytes(32) for _ in range(3)]
    cipher = CredentialCipher({"c1": keys[0]})
    catalog = await Catalog.open(database, cipher, Hashes(keys[2]), registry)
    with tempfile.TemporaryDirectory(prefix="emitonce-attacks-") as folder:
        child = await Child.start(
            "api",
            "starter.cli.main",
            "api",
            "--json",
            env={
                **SETTINGS,
                "EMITONCE_DATABASE_URL": database,
                "EMITONCE_CREDENTIAL_KEYS": f"c1:{base64.b64encode(keys[0]).decode()}",
                "EMITONCE_PAYLOAD_KEYS": f"p1:{base64.b64encode(keys[1]).decode()}",
                "EMITONCE_INSTANCE_SECRET": base64.b64encode(keys[2]).decode(),
                "EMITONCE_TASK_QUEUE": f"attacked-{secrets.token_hex(4)}",
                "TEMPORAL_ADDRESS": client.service_client.config.target_host,
            },
            logs=Path(folder),
        )
        try:
            async with httpx.AsyncClient(
                base_url=child.ready["http"], timeout=30, limits=httpx.Limits(max_connections=200)
            ) as http:
                yield await _with_tenants(http, client, catalog)
        finally:
            await child.terminate()
            await catalog.close()


async def _with_tenants(http: httpx.AsyncClient, client: Client, catalog: Catalog) -> Production:
    ours = (await catalog.organizations.default()).id
    theirs = (await catalog.organizations.create("Stranger")).id
    workspace = (await catalog.workspaces.create(ours, name="Acme app")).id
    key = await catalog.publishable_keys.current(ours, workspace)
    assert key is not None
    connection = await catalog.connections.create(
        ours,
        workspace=workspace,
        name="Customer io",
        type="customer_io",
        fields={"region": "us", "cdpApiKey": "planted-secret-of-the-vendor"},
        created_by="test",
    )
    rule = await catalog.rules.create(
        ours,
        workspace=workspace,
        connection=connection.id,
        event="user.signup",
        resource=None,
        metadata={"action": "track_event"},
        created_by="test",
    )
    return Production(
        url=str(http.base_url),
        http=http,
        client=client,
        catalog=catalog,
        organization=ours,
        workspace=workspace,
        public_key=key.public_key,
        machine=await _machine(catalog, ours),
        stranger=await _machine(catalog, theirs),
        connection=connection,
        rule=rule,
    )


async def _machine(catalog: Catalog, organization: str) -> Machine:
    made = await catalog.machine_keys.create(organization, name="test", created_by="test")
    return Machine(organization, made.key.access_key, made.secret_key.get_secret_value())
