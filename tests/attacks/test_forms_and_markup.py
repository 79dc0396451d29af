"""What another site's page sends in someone's name, and markup in what an event or a form says."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio

from starter.console.session import COOKIE
from tests.api.caller import filled
from tests.attacks.production import PUBLIC_URL, Production
from tests.attacks.test_credentials_and_routes import pages
from tests.console.site import token_in

HERE = {"Origin": PUBLIC_URL}
MARKUP = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'


def cookies_of(answer: httpx.Response) -> str:
    """As a browser sends them back over TLS, which the proxy ends."""
    return "; ".join(one.split(";")[0] for one in answer.headers.get_list("set-cookie"))


@pytest_asyncio.fixture(scope="session")
async def session(attacked: Production) -> dict[str, str]:
    """The headers of someone who has signed in."""
    page = await attacked.http.get("/sign-in")
    answer = await attacked.http.post(
        "/sign-in",
        data={
            "access_key": attacked.machine.access_key,
            "secret_key": attacked.machine.secret_key,
            "csrf": token_in(page),
        },
        headers={"Cookie": cookies_of(page), **HERE},
    )
    assert answer.status_code == 303, answer.text
    assert COOKIE in cookies_of(answer)
    return {"Cookie": cookies_of(answer)}


@pytest.mark.parametrize(
    "origin",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": f"{PUBLIC_URL}.evil.example"},
        {"Origin": PUBLIC_URL.replace("https", "http")},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
async def test_no_form_of_another_site_is_taken(
    attacked: Production,
    session: dict[str, str],
    origin: dict[str, str],
    record_property: Callable[[str, Any], None],
) -> None:
    asked = 0
    ids = {
        "workspace_id": attacked.workspace,
        "connection_id": attacked.connection.id,
        "rule_id": attacked.rule.id,
    }
    for method, path in pages():
        if method == "POST":
            answer = await attacked.http.post(
                filled(path, ids), data={"csrf": "x"}, headers={**session, **origin}
            )
            assert answer.status_code == 403, (path, answer.status_code)
            asked += 1
    assert asked >= 20
    record_property("requests", asked)


async def test_no_form_is_taken_without_its_token(
    attacked: Production, session: dict[str, str]
) -> None:
    for token in ("", "x", "x" * 64, "é"):
        answer = await attacked.http.post(
            f"/w/{attacked.workspace}/rules/{attacked.rule.id}/delete",
            data={"csrf": token},
            headers={**session, **HERE},
        )
        assert answer.status_code == 403
    assert (await attacked.call("GET", f"/rules/{attacked.rule.id}")).status_code == 200


async def test_markup_is_shown_as_text_on_every_page(
    attacked: Production, session: dict[str, str]
) -> None:
    made = await attacked.emit(
        {"event": "a" + MARKUP, "payload": {MARKUP: MARKUP, "userId": MARKUP}}
    )
    assert made.status_code == 201, made.text
    event = made.json()["event"]["id"]
    at = f"/w/{attacked.workspace}"
    for path in (
        f"{at}/events",
        f"{at}/events?event={MARKUP}",
        f"{at}/events/{event}",
        f"{at}/rules/new?event={event}",
        f"{at}/rules/new?name={MARKUP}",
        f"/sign-in?next={MARKUP}",
        f"/{MARKUP}",
    ):
        page = await attacked.http.get(path, headers=session)
        assert MARKUP not in page.text, path
        assert "<img src=x" not in page.text, path
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>[^<]*alert\(", page.text)


@pytest.mark.parametrize(
    "next_page",
    ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"],
)
async def test_sign_in_leads_to_no_other_site(attacked: Production, next_page: str) -> None:
    page = await attacked.http.get("/sign-in", params={"next": next_page})
    answer = await attacked.http.post(
        "/sign-in",
        data={
            "access_key": attacked.machine.access_key,
            "secret_key": attacked.machine.secret_key,
            "csrf": token_in(page),
            "next": next_page,
        },
        headers={"Cookie": cookies_of(page), **HERE},
    )
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/")
    assert "evil" not in answer.headers["location"]
