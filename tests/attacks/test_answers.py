"""What every answer tells a browser, and what no caller can leave behind in logs and metrics."""

from __future__ import annotations

import httpx
import pytest

from starter.api.middleware import OTHER_METHOD, Observed
from tests.api.caller import Api
from tests.console.site import Site, sign_in


@pytest.mark.parametrize(
    "path", ["/api/v1/events", "/api/v1/nothing", "/docs", "/openapi.json", "/healthz", "/sign-in"]
)
async def test_every_answer_has_the_headers_that_bind_a_browser(site: Site, path: str) -> None:
    async with httpx.AsyncClient(base_url=site.url, timeout=40) as http:
        answer = await http.get(path)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


async def test_without_tls_browsers_are_not_told_to_use_it(stack) -> None:  # type: ignore[no-untyped-def]
    from tests.api.caller import open_api

    async with open_api(stack) as api:
        answer = await api.http.get("/healthz")
    assert "strict-transport-security" not in answer.headers


async def test_cookie_is_for_tls_alone_where_the_public_url_is(site: Site) -> None:
    async with httpx.AsyncClient(base_url=site.url) as http:
        answer = await sign_in(http, site.access_key, site.secret_key)
    assert "; Secure" in answer.headers["set-cookie"]


async def test_form_from_a_page_of_another_origin_is_refused(plain_site: Site) -> None:
    site = plain_site
    async with httpx.AsyncClient(base_url=site.url) as http:
        for origin in ("https://evil.example", site.url, "null"):
            http.headers["Origin"] = origin
            assert (await http.post("/sign-in", data={"csrf": "x"})).status_code == 403
        http.headers["Origin"] = "http://events.example.com"
        assert (await sign_in(http, site.access_key, site.secret_key)).status_code == 303


class Meter:
    """Remembers the labels of what it is told."""

    def __init__(self) -> None:
        self.labels: list[dict[str, str]] = []

    def create_histogram_timedelta(self, *_: object, **__: object) -> Meter:
        return self

    def record(self, _: object, labels: dict[str, str]) -> None:
        self.labels.append(labels)


async def test_invented_methods_make_no_series_of_their_own() -> None:
    meter = Meter()

    async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        await send({"type": "http.response.start", "status": 405, "headers": []})

    observed = Observed(app, meter)  # type: ignore[arg-type]
    for number in range(400):
        scope = {"type": "http", "method": f"ATTACK{number}" * 10, "path": "/", "headers": []}
        await observed(scope, None, _ignored)  # type: ignore[arg-type]
    assert {labels["method"] for labels in meter.labels} == {OTHER_METHOD}


async def _ignored(_: object) -> None:
    return


async def test_form_of_a_stranger_is_small(site: Site) -> None:
    async with httpx.AsyncClient(base_url=site.url) as http:
        assert (await http.post("/sign-in", data={"a": "b" * 9_000})).status_code == 413


async def test_api_refuses_a_foreign_page_the_management(api: Api) -> None:
    answer = await api.http.options(
        "/api/v1/rules",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
    )
    assert "access-control-allow-origin" not in answer.headers
