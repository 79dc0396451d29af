"""Providers of single sign-on: npm's `oidc-provider` as a process, and one that answers wrong."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from playwright.async_api import Page
from pydantic import SecretStr

from destinations.http.exchange import Http
from starter.api import served
from starter.api.listening import listen
from starter.api.server import serving
from starter.console import Console
from starter.console.single_sign_on import CALLBACK, Client, SingleSignOn
from tests.api.caller import dependencies_of
from tests.console.axe import CACHE
from tests.console.site import Site
from tests.integration.stack import Stack

FOLDER = Path(__file__).parent / "provider"
CLIENT_ID, CLIENT_SECRET = "console", "a secret that the console has"  # pragma: allowlist secret
USERS: dict[str, dict[str, Any]] = {
    "vera": {"name": "Vera Viewer", "roles": ["viewer"]},
    "otto": {"name": "Otto Operator", "roles": ["operator", "payload"]},
    "ada": {"name": "Ada Admin", "roles": ["admin"]},
    "abel": {"name": "Abel Admin", "roles": ["admin"]},
    "nora": {"name": "Nora Nobody", "roles": ["sales"]},
}


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def installed() -> Path:
    """The provider's folder with its packages, which are fetched once. Skips without npm."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed, so oidc-provider can't be fetched: apt-get install npm")
    parts = sorted(path for path in FOLDER.iterdir() if path.is_file())
    version = hashlib.sha256(b"".join(path.read_bytes() for path in parts)).hexdigest()[:12]
    kept = CACHE / f"oidc-provider-{version}"
    if not kept.exists():
        draft = kept.with_name(f"{kept.name}.{os.getpid()}")
        shutil.copytree(FOLDER, draft, ignore=shutil.ignore_patterns("node_modules"))
        command = ["npm", "ci", "--silent", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=draft, check=True, timeout=100)
        with contextlib.suppress(OSError):
            draft.rename(kept)
        shutil.rmtree(draft, ignore_errors=True)
    return kept


@asynccontextmanager
async def open_provider(port: int, redirect_urls: list[str]) -> AsyncIterator[str]:
    """Run the real one; yields its issuer. It is another site than consoles on 127.0.0.1."""
    client = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "redirect_uris": redirect_urls,
        "grant_types": ["authorization_code"],
    }
    process = await asyncio.create_subprocess_exec(
        *("node", "provider.js"),
        cwd=installed(),
        env=os.environ
        | {
            "PROVIDER_PORT": str(port),
            "PROVIDER_CLIENT": json.dumps(client),
            "PROVIDER_USERS": json.dumps(USERS),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            while (line := await process.stdout.readline()) != b"ready\n":
                assert line, "the provider has ended"
        yield f"http://localhost:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@dataclass
class CrookedProvider:
    """A provider that signs in whoever comes, and whose ID token a test can spoil."""

    port: int
    claims: dict[str, Any] = field(default_factory=dict)
    signed: Callable[[dict[str, Any]], str] | None = None
    nonce: str = ""
    silent: bool = False

    def __post_init__(self) -> None:
        self.kid = ""
        self.renew_key()

    def renew_key(self) -> None:
        self.kid += "k"
        self.key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)

    @property
    def issuer(self) -> str:
        return f"http://localhost:{self.port}"

    def token(self) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "sub": "ada",
            "iat": now,
            "exp": now + 300,
            "nonce": self.nonce,
            "roles": ["admin"],
        } | self.claims
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.signed is not None:
            return self.signed(claims)
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": self.kid})

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path, status = scope["path"], 200
        if path == "/.well-known/openid-configuration":
            addresses = ("authorization", "token")
            told: Any = {f"{name}_endpoint": f"{self.issuer}/{name}" for name in addresses}
            told |= {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"}
        elif path == "/keys":
            public = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
            told = {"keys": [public | {"kid": self.kid, "use": "sig"}]}
        else:
            told = {"access_token": "a", "token_type": "Bearer", "id_token": self.token()}
        if self.silent:
            told, status = {}, 503
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(told).encode()})


@asynccontextmanager
async def open_crooked_provider() -> AsyncIterator[CrookedProvider]:
    provider = CrookedProvider(free_port())
    async with serving(provider, listen("127.0.0.1", provider.port)):
        yield provider


@asynccontextmanager
async def open_signing_site(
    stack: Stack, issuer: str, port: int, *, roles: Mapping[str, str] | None = None, **changes: Any
) -> AsyncIterator[Site]:
    """A console at a given port, whose people sign in at `issuer`."""
    url = f"http://127.0.0.1:{port}"
    client = Client(
        issuer,
        CLIENT_ID,
        f"{url}{CALLBACK}",
        SecretStr(CLIENT_SECRET),
        roles=roles or {},
        **changes,
    )
    async with AsyncExitStack() as parts:
        http = await parts.enter_async_context(Http(4))
        api = dependencies_of(stack, public_url=url)
        console = Console(api, single_sign_on=SingleSignOn(client, http))
        await parts.enter_async_context(served(api, host="127.0.0.1", port=port, console=console))
        made = await stack.catalog.machine_keys.create(
            stack.organization, name="Key", created_by="test"
        )
        yield Site(stack, url, made.key.access_key, made.secret_key.get_secret_value())


async def sign_in_as(page: Page, site: Site, login: str, *, path: str = "/") -> None:
    """Sign in at the real provider, from the page that asks for it."""
    await page.goto(f"{site.url}/sign-in?next={path}")
    await page.get_by_role("link", name="Sign in with your organization's account").click()
    await at_provider(page, login)


async def submit_login(page: Page, login: str) -> None:
    await page.locator("[name=login]").fill(login)
    await page.locator("[name=password]").fill("anything")
    await page.get_by_role("button").first.click()


async def at_provider(page: Page, login: str) -> None:
    await submit_login(page, login)
    await page.wait_for_url(lambda url: "127.0.0.1" in url and "/sign-in/callback" not in url)


async def come_back(
    http: httpx.AsyncClient, provider: CrookedProvider, *, again: bool = False, **changes: str
) -> httpx.Response:
    """Leave for the crooked provider, and come back at once with a code."""
    left = await http.get(f"/sign-in/provider?next=/workspaces{'&again=1' if again else ''}")
    assert left.status_code == 303, left.text
    asked = parse_qs(left.headers["location"].partition("?")[2])
    provider.nonce = asked["nonce"][0]
    answer = {"code": "c", "state": asked["state"][0], **changes}
    return await http.get(CALLBACK, params=answer)


async def acts(stack: Stack, name: str = "sign_in") -> list[Any]:
    """Return the organization's audited acts of this name, newest first."""
    page = await stack.catalog.audit.list(stack.organization, limit=50)
    return [one for one in page.records if one.act.name == name]
