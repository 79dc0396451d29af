"""Alerts: where failures are reported, set and tried out. One target for the whole installation."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from pydantic import SecretStr
from starlette.responses import Response

from catalog.scopes import MANAGE
from destinations.http.exchange import read_url
from emitonce.address import is_this_machine
from starter.alert_target import changed_target, origin_of, try_target
from starter.api.errors import not_found
from starter.api.routing import needs
from starter.console.route import Visited, console_router, see_other
from starter.console.visit import Visit

router = console_router()


async def operator(visit: Visited) -> Visit:
    """Raises `ApiError` 404 unless the installation's own organization visits."""
    if visit.organization != (await visit.catalog.organizations.default()).id:
        raise not_found("path", "page")
    return visit


# Of whoever runs the installation.
Operator = Annotated[Visit, Depends(operator)]


@router.get("/alerts")
@needs(MANAGE)
async def show_alerts(visit: Operator) -> Response:
    return await _page(visit)


@router.post("/alerts")
async def set_alert_target(visit: Operator) -> Response:
    """Store the target. A blank URL keeps the one that is stored."""
    faults, urls = {}, {}
    for name in ("url", "heartbeat_url"):
        if given := visit.form.text(name):
            if fault := _fault(given):
                faults[name] = fault
            urls[name] = SecretStr(given)
    changed = changed_target(
        await visit.catalog.alert_targets.get(),
        urls.get("url"),
        heartbeat_url=urls.get("heartbeat_url"),
        format="slack" if visit.form.text("format") == "slack" else "signed",
    )
    if changed is None:
        faults["url"] = "Enter where alerts are posted."
    if faults or changed is None:
        return await _page(visit, faults=faults, status=400)
    target, made = changed
    await visit.catalog.alert_targets.set(target)
    if made:
        return await _page(visit, made=target.secret.get_secret_value())
    return see_other("/alerts", "alerts")


@router.post("/alerts/test")
async def test_alert_target(visit: Operator) -> Response:
    target = await visit.catalog.alert_targets.get()
    answers = await try_target(target, visit.parts.runbook_url) if target else {}
    return await _page(visit, answers=answers)


@router.post("/alerts/remove")
async def remove_alert_target(visit: Operator) -> Response:
    await visit.catalog.alert_targets.remove()
    return see_other("/alerts", "alerts-gone")


async def _page(
    visit: Visit,
    *,
    status: int = 200,
    faults: dict[str, str] | None = None,
    answers: dict[str, int | str] | None = None,
    made: str | None = None,
) -> Response:
    target = await visit.catalog.alert_targets.get()
    return await visit.page(
        "alerts.html",
        status=status,
        target=target,
        url=origin_of(target.url) if target else None,
        heartbeat=origin_of(target.heartbeat_url) if target and target.heartbeat_url else None,
        faults=faults or {},
        answers=answers or {},
        made=made,
    )


def _fault(url: str) -> str | None:
    """Say what is wrong with a URL, without repeating it: it may be a secret."""
    try:
        read = read_url(url)
    except ValueError as err:
        return f"It {err}."
    if read.scheme != "https" and not is_this_machine(read.host):
        return "It must start with https://."
    return None
