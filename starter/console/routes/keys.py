"""Keys: publishable ones emit into this workspace, machine ones act for the organization."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Depends
from starlette.responses import Response

from catalog.api_key_rights import KeyRights
from catalog.errors import InvalidValue, OlderRelease
from catalog.machine_keys import NewMachineKey
from catalog.scopes import SCOPES
from starter.api.errors import ApiError
from starter.console.forms import Form
from starter.console.route import (
    InWorkspace,
    console_router,
    see_other,
)
from starter.console.routes.signing import count_failure, proved_key
from starter.console.visit import Visit
from starter.console.words import SCOPES_IN_WORDS

router = console_router()


async def prove(visit: InWorkspace) -> Visit:
    """Raises `ApiError` 403 unless someone has signed in, or shown the secret, a short while ago,
    or shows it now."""
    if visit.must_prove:
        access_key = visit.session.access_key
        if access_key is None:
            raise ApiError(
                403,
                "creating, changing or revoking a key needs a sign-in of the last 10 minutes: go "
                "back and sign in again",
            )
        if await proved_key(visit, access_key, visit.form.text("secret_key")) is None:
            count_failure(visit, access_key)
            raise ApiError(
                403,
                "creating, changing or revoking a key needs your own secret key, and it was "
                "missing or wrong: go back and enter it",
            )
        visit.renewed = await visit.catalog.console_sessions.prove(visit.session.id)
        visit.session = replace(visit.session, id=visit.renewed, fresh=True)
    return visit


# Of a form that changes keys.
Proved = Annotated[Visit, Depends(prove)]


@router.get("/w/{workspace_id}/keys")
async def show_keys(visit: InWorkspace) -> Response:
    return await _page(visit)


@router.post("/w/{workspace_id}/keys/publishable")
async def create_publishable_key(visit: Proved) -> Response:
    session = visit.session
    try:
        made = await visit.catalog.publishable_keys.create(
            session.organization,
            workspace=visit.workspace.id,
            name=visit.form.text("name"),
            created_by=session.actor,
            rights=_chosen(visit.form),
            kept_wide="kept_wide" in visit.form,
        )
    except (InvalidValue, OlderRelease) as err:
        return await _page(visit, faults={"publishable": _fault(err)}, status=400)
    visit.request.state.said = {"key_id": made.id}
    return see_other(f"/w/{visit.workspace.id}/keys", "key")


@router.post("/w/{workspace_id}/keys/publishable/{key_id}/rights")
async def put_key_rights(visit: Proved, key_id: str) -> Response:
    try:
        await visit.catalog.publishable_keys.set_rights(
            visit.organization,
            key_id,
            _chosen(visit.form),
            kept_wide="kept_wide" in visit.form,
        )
    except (InvalidValue, OlderRelease) as err:
        return await _page(visit, faults={key_id: _fault(err)}, status=400)
    return see_other(f"/w/{visit.workspace.id}/keys", "rights")


@router.post("/w/{workspace_id}/keys/machine")
async def create_machine_key(visit: Proved) -> Response:
    """Create it. The answer shows its secret, once. It can do no more than the session's key."""
    days, form = visit.parts.key_days, visit.form
    try:
        made = await visit.catalog.machine_keys.create(
            visit.organization,
            name=form.text("name"),
            created_by=visit.session.actor,
            expires_at=datetime.now(UTC) + timedelta(days=days) if days else None,
            scopes=[scope for scope in SCOPES if scope in visit.may and f"scope.{scope}" in form],
            as_token="as_token" in form,
        )
    except (InvalidValue, OlderRelease) as err:
        return await _page(visit, faults={"machine": _fault(err)}, status=400)
    visit.request.state.said = {"key_id": made.key.id}
    return await _page(visit, made=made)


@router.post("/w/{workspace_id}/keys/publishable/{key_id}/revoke")
async def revoke_publishable_key(visit: Proved, key_id: str) -> Response:
    await visit.catalog.publishable_keys.revoke(visit.organization, key_id)
    return see_other(f"/w/{visit.workspace.id}/keys", "revoked")


@router.post("/w/{workspace_id}/keys/machine/{key_id}/revoke")
async def revoke_machine_key(visit: Proved, key_id: str) -> Response:
    """Revoke it. If it is the session's own key, the session ends."""
    async with visit.catalog.console_sessions.removing(visit.session) as conn:
        await visit.catalog.machine_keys.revoke(visit.organization, key_id, conn=conn)
    return see_other(f"/w/{visit.workspace.id}/keys", "revoked")


def _chosen(form: Form) -> KeyRights:
    """Read the rights. Events and origins are typed one per line; none means any."""
    events, origins = (
        [line.strip() for line in form.get(name, "").splitlines() if line.strip()]
        for name in ("events", "origins")
    )
    return KeyRights.of(events or None, origins or None, form.text("identify") or None)


def _fault(error: InvalidValue | OlderRelease) -> str:
    if isinstance(error, OlderRelease):
        return f"Not saved: {error}."
    return f"{error.field.capitalize()}: {error.problem}."


async def _page(
    visit: Visit,
    *,
    made: NewMachineKey | None = None,
    faults: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    catalog, session = visit.catalog, visit.session
    publishable = await catalog.publishable_keys.list(session.organization)
    return await visit.page(
        "keys.html",
        status=status,
        publishable=[key for key in publishable if key.workspace == visit.workspace.id],
        machine=await catalog.machine_keys.list(session.organization),
        made=made,
        scopes=SCOPES_IN_WORDS,
        must_prove=visit.must_prove,
        now=datetime.now(UTC),
        faults=faults or {},
    )
