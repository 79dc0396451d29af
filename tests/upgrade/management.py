"""What operators do meanwhile, by the HTTP API of whichever release answers."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from tests.api.caller import BASE, Machine
from tests.chaos.processes import ROOT
from tests.chaos.world import World, until
from tests.upgrade.kinds import Kind
from tests.upgrade.vendor import Vendor

REDELIVERED_A_SECOND = 3


class Management:
    """One workspace with a connection, a rule and a vendor's key for each kind of event."""

    def __init__(self, world: World, vendor: Vendor, machine: Machine) -> None:
        self._world = world
        self._vendor = vendor
        self._machine = machine
        self.workspace = ""
        self.public_key = ""
        self._connections: dict[Kind, str] = {}

    @classmethod
    async def set_up(cls, world: World, vendor: Vendor, *, root: Path = ROOT) -> Management:
        """By the code in `root`, whose API must be running."""
        made = await world.command("keys", "create", "machine", "--name", "x", "--json", root=root)
        assert made.code == 0, made.err
        key = json.loads(made.out)
        machine = Machine(key["organization"], key["access_key"], key["secret_key"])
        management = cls(world, vendor, machine)
        await management._populate()
        return management

    async def _populate(self) -> None:
        made = await self.call("POST", "/workspaces", {"name": "upgraded"})
        self.workspace = made["workspace"]["id"]
        shown = await self.call("GET", f"/workspaces/{self.workspace}")
        self.public_key = shown["publishable_key"]["public_key"]
        for kind in Kind:
            self._connections[kind] = await self.connect(kind, self._vendor.key(kind))

    async def connect(self, event: str, key: str) -> str:
        """A connection with this key, and a rule that sends the event there; the former's id."""
        about = {
            "workspace": self.workspace,
            "type": "customer_io",
            "name": f"Customer io {event}",
            "metadata": {"region": "us", "cdpApiKey": key},
        }
        connection = str((await self.call("POST", "/connections", about))["connection"]["id"])
        rule = {
            "workspace": self.workspace,
            "connection": connection,
            "event": event,
            "metadata": {"action": "track_event"},
        }
        await self.call("POST", "/rules", rule)
        return connection

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
            answer = await http.request(
                method,
                f"{self._world.api_url}{BASE}{path}",
                content=None if body is None else json.dumps(body).encode(),
                headers={"Content-Type": "application/json", **self._machine.headers()},
            )
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def pause(self, kind: Kind) -> None:
        await self.call("POST", f"/connections/{self._connections[kind]}/pause")

    async def resume(self, kind: Kind) -> None:
        await self.call("POST", f"/connections/{self._connections[kind]}/resume")

    async def replace_key(self, kind: Kind, key: str) -> None:
        body = {"name": f"Customer io {kind}", "metadata": {"cdpApiKey": key}}
        await self.call("PUT", f"/connections/{self._connections[kind]}", body)

    async def redeliver(self) -> str | None:
        """Begin to deliver again what has failed; its id, None when nothing has."""
        selection = {
            "workspace": self.workspace,
            "accepted_from": (datetime.now(UTC) - timedelta(hours=1)).isoformat(),
        }
        plan = await self.call("POST", "/redeliveries", selection | {"dry_run": True})
        if not plan["matched"]:
            return None
        started = plan["selection"] | {"per_second": REDELIVERED_A_SECOND}
        return str((await self.call("POST", "/redeliveries", started))["id"])

    async def redelivered(self, id: str) -> None:
        """Wait for its end."""

        async def over() -> bool:
            return bool((await self.call("GET", f"/redeliveries/{id}"))["state"] != "running")

        await until(over, within=120, what="the end of a redelivery")
