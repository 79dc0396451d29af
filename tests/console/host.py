"""A product on an origin of its own, whose page embeds ours and whose backend has the key."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from playwright.async_api import Browser, Frame, Page, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from starter.api.server import listen, serving
from tests.api.caller import BASE, Machine
from tests.console.site import Site

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Acme</title>
<style>
  :root { color-scheme: light dark }
  body { margin: 0; font-family: Georgia, serif; background: light-dark(#fff, #101014) }
  header { padding: 14px 24px; background: #4c1d95; color: #fff; font-size: 19px }
  main { padding: 16px 24px } iframe { border-radius: 8px }
</style>
<header>Acme</header>
<main><div id="there"></div></main>
<script src="%(script)s"></script>
<script>
  const heard = [];
  const post = (path) => fetch(path, { method: "POST" }).then((answer) => answer.json());
  addEventListener("message", ({ data }) => heard.push(data));
  const given = %(options)s;
  post("/session" + location.search).then((session) => {
    window.session = session;
    window.embed = emitonceEmbed(document.querySelector("#there"), {
      launchUrl: session.launch_url,
      accessToken: session.access_token,
      refresh: () => post("/refresh/" + session.session_id).then((done) => done.access_token),
      onExpired: () => { document.title = "Expired"; },
      onFailed: () => { document.title = "Failed"; },
      ...given,
    });
  });
</script>
"""


@dataclass
class Host:
    """`fields` are those of the sessions that its backend creates, `options` its page's."""

    site: Site
    machine: Machine
    fields: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    url: str = ""
    refreshes: bool = True

    async def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.site.url) as http:
            return await http.request(
                method, f"{BASE}{path}", json=body, headers=self.machine.headers()
            )

    async def create(self, **fields: Any) -> dict[str, Any]:
        body = {
            "workspace_id": self.site.stack.workspace,
            "role": "admin",
            "allowed_origins": [self.url],
            **self.fields,
            **fields,
        }
        answer = await self.call("POST", "/sessions", body)
        assert answer.status_code == 200, answer.text
        created: dict[str, Any] = answer.json()
        return created

    async def refresh(self, id: str) -> httpx.Response:
        return await self.call("POST", f"/sessions/{id}/refresh")

    @asynccontextmanager
    async def visitor(
        self, browser: Browser, query: str = "", **options: Any
    ) -> AsyncIterator[tuple[Page, Frame]]:
        """Its page, with the embedded one shown."""
        async with self.site.stranger(browser, **options) as page:
            await page.context.clear_cookies()
            await page.goto(f"{self.url}/{query}")
            yield page, await self.frame(page)

    async def frame(self, page: Page) -> Frame:
        element = await page.wait_for_selector("iframe")
        frame = await element.content_frame()
        assert frame is not None
        await frame.wait_for_selector("#page h1")
        return frame

    async def heard(self, page: Page, type: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await page.evaluate(
            "(type) => heard.filter((one) => one.type === type)", type
        )
        return found

    def app(self) -> Starlette:
        async def show(request: Request) -> Response:
            script, options = f"{self.site.url}/embed/host.js", json.dumps(self.options)
            return HTMLResponse(PAGE % {"script": script, "options": options})

        async def stranger(request: Request) -> Response:
            return HTMLResponse("<!doctype html><title>Another page</title>")

        async def create(request: Request) -> Response:
            fields = dict(request.query_params)
            seconds = {"ttl_seconds": int(fields["ttl_seconds"])} if "ttl_seconds" in fields else {}
            return JSONResponse(await self.create(**fields | seconds))

        async def refresh(request: Request) -> Response:
            if not self.refreshes:
                return Response("not now", 500)
            answer = await self.refresh(request.path_params["id"])
            return JSONResponse(answer.json(), answer.status_code)

        return Starlette(
            routes=[
                Route("/", show),
                Route("/stranger", stranger),
                Route("/session", create, methods=["POST"]),
                Route("/refresh/{id}", refresh, methods=["POST"]),
            ]
        )


@asynccontextmanager
async def open_host(site: Site, **fields: Any) -> AsyncIterator[Host]:
    """At `localhost`, which to a browser is another site than the console's 127.0.0.1."""
    machine = Machine(site.stack.organization, site.access_key, site.secret_key)
    host = Host(site, machine, fields)
    listening = listen("127.0.0.1", 0)
    host.url = f"http://localhost:{listening.getsockname()[1]}"
    async with serving(host.app(), listening):
        yield host


async def go(frame: Frame, page: str) -> None:
    """Follow a link of the embedded page's navigation."""
    await frame.get_by_role("navigation", name="Pages").get_by_role("link", name=page).click()
    await expect(frame.get_by_role("heading", name=page, level=1)).to_be_visible()
