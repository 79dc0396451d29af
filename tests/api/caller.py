"""The API over real parts, and callers of it: a machine with its key, a page with a public one."""

from __future__ import annotations

import contextlib
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
from temporalio.client import WorkflowFailureError

from starter.api import Dependencies, served
from tests.integration.stack import SAMPLE, SECRET, Stack, eventually

BASE = "/api/v1"


@dataclass(frozen=True)
class Machine:
    """As Meshes' clients sign: a fresh token of 30 seconds for each request."""

    organization: str
    access_key: str
    secret_key: str

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "iss": f"urn:meshes:m2m:{self.access_key}",
            "aud": "meshes-api",
            "org": self.organization,
            "iat": now,
            "exp": now + 30,
        }
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def token(self, **changes: Any) -> str:
        return jwt.encode(
            self.claims(**changes),
            self.secret_key,
            algorithm="HS256",
            headers={"kid": self.access_key},
        )

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token()}"}


@dataclass
class Api:
    """A running server. Methods call it as the stack's own machine, unless told otherwise."""

    stack: Stack
    url: str
    http: httpx.AsyncClient
    machine: Machine
    public_key: str

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        machine: Machine | None = None,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
        **params: Any,
    ) -> httpx.Response:
        """Like Meshes' management client: a JSON content type with every request."""
        if body is not None:
            content = json.dumps(body).encode()
        return await self.http.request(
            method,
            BASE + path,
            content=content,
            params=params or None,
            headers={
                "Content-Type": "application/json",
                "X-Meshes-Client": "Meshes API Client v1.0.0",
                **(machine or self.machine).headers(),
                **(headers or {}),
            },
        )

    async def get(self, path: str, **params: Any) -> httpx.Response:
        return await self.call("GET", path, **params)

    async def post(self, path: str, body: Any = None, **params: Any) -> httpx.Response:
        return await self.call("POST", path, body, **params)

    async def emit(
        self, body: Any = None, *, path: str = "/events", **headers: str
    ) -> httpx.Response:
        """Like Meshes' events client, in a web page."""
        body = {"event": "user.signup", "payload": SAMPLE} if body is None else body
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.http.post(
            BASE + path,
            content=content,
            headers={
                "X-Meshes-Publishable-Key": self.public_key,
                "X-Meshes-Client": "Meshes Events Client v1.0.0",
                "Content-Type": "application/json",
                "Accept": "application/json",
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
        )

    async def emitted(self, body: Any = None, **headers: str) -> dict[str, Any]:
        answer = await self.emit(body, **headers)
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()["event"]
        return created

    async def event(self, id: str) -> dict[str, Any]:
        answer = await self.get(f"/events/{id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def ended(self, id: str) -> dict[str, Any]:
        """The event once its run has ended."""
        await self.reached(id, "completed", "failed", "canceled")
        with contextlib.suppress(WorkflowFailureError):
            await self.stack.client.get_workflow_handle(id).result()
        return await self.event(id)

    async def reached(self, id: str, *statuses: str) -> dict[str, Any]:
        found: dict[str, Any] = {}

        async def there() -> bool:
            found.clear()
            found.update(await self.event(id))
            return found["status"] in statuses

        await eventually(there, within=30)
        return found

    async def machine_key(self, organization: str) -> Machine:
        made = await self.stack.catalog.machine_keys.create(
            organization, name="test", created_by="test"
        )
        return Machine(organization, made.key.access_key, made.secret_key.get_secret_value())

    async def stranger(self) -> Machine:
        """A key of an organization that owns nothing in the stack."""
        other = await self.stack.catalog.organizations.create("Stranger")
        return await self.machine_key(other.id)


def dependencies_of(stack: Stack, **changes: Any) -> Dependencies:
    fields: dict[str, Any] = {
        "client": stack.client,
        "catalog": stack.catalog,
        "clients": stack.clients,
        "instance_secret": SECRET,
        "task_queue": stack.task_queue,
        "ui_url": "http://127.0.0.1:8233",
    }
    return Dependencies(**(fields | changes))


@asynccontextmanager
async def open_api(
    stack: Stack, *, serving: Mapping[str, Any] | None = None, **changes: Any
) -> AsyncIterator[Api]:
    """`serving` is for the server, `changes` are of the API's parts."""
    key = await stack.catalog.publishable_keys.current(stack.organization, stack.workspace)
    assert key is not None
    async with (
        served(
            dependencies_of(stack, **changes), host="127.0.0.1", port=0, **(serving or {})
        ) as url,
        httpx.AsyncClient(base_url=url, timeout=40) as http,
    ):
        api = Api(stack, url, http, Machine(stack.organization, "", ""), key.public_key)
        api.machine = await api.machine_key(stack.organization)
        yield api


async def tenant_of(api: Api) -> Api:
    """Return the same server for a new organization and workspace: see `Stack.tenant`."""
    stack = await api.stack.tenant()
    key = await stack.catalog.publishable_keys.current(stack.organization, stack.workspace)
    assert key is not None
    machine = await api.machine_key(stack.organization)
    return Api(stack, api.url, api.http, machine, key.public_key)


def new_connection(api: Api, **changes: Any) -> dict[str, Any]:
    """Return the body of a request that creates a connection to Customer.io."""
    return {
        "workspace": api.stack.workspace,
        "type": "customer_io",
        "name": "Customer io",
        "metadata": {"region": "us", "cdpApiKey": "sim-us-key"},
        **changes,
    }


async def new_rule(api: Api, **changes: Any) -> dict[str, Any]:
    """Create a connection, and return the body of a request that creates a rule for it."""
    connection = (await api.post("/connections", new_connection(api))).json()["connection"]
    return {
        "workspace": api.stack.workspace,
        "connection": connection["id"],
        "event": "user.signup",
        "metadata": {"action": "track_event"},
        **changes,
    }


def assert_error(answer: httpx.Response, status: int, param: str | None = None) -> None:
    """The documented form, naming the parameter at fault."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert isinstance(body["message"], str)
    assert set(body["error"]) <= {"name", "message", "data"}
    if param is not None:
        assert param in [fault["param"] for fault in body["error"]["data"]]


def is_uuid(text: Any) -> bool:
    return isinstance(text, str) and str(uuid.UUID(text)) == text


def filled(path: str, ids: dict[str, str]) -> str:
    """A path of the document with its parameters; where none is given, an id of nothing."""
    return re.sub(r"{(\w+)}", lambda found: ids.get(found[1], str(uuid.uuid4())), path)
