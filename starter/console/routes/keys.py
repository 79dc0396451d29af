"""Keys: publishable ones emit into this workspace, machine ones act for the organization."""

from __future__ import annotations

from starlette.responses import Response

from catalog.api_key_rights import KeyRights
from catalog.api_keys import NewMachineKey
from catalog.errors import InvalidValue, OlderRelease
from starter.console.forms import Form
from starter.console.route import (
    InWorkspace,
    console_router,
    see_other,
)
from starter.console.visit import Visit

router = console_router()


@router.get("/w/{workspace_id}/keys")
async def show_keys(visit: InWorkspace) -> Response:
    return await _page(visit)


@router.post("/w/{workspace_id}/keys/publishable")
async def create_publishable_key(visit: InWorkspace) -> Response:
    session = visit.session
    try:
        await visit.catalog.publishable_keys.create(
            session.organisation,
            workspace=visit.workspace.id,
            name=visit.form.text("name"),
            created_by=session.key,
            rights=_chosen(visit.form),
            kept_wide="kept_wide" in visit.form,
        )
    except (InvalidValue, OlderRelease) as err:
        return await _page(visit, faults={"publishable": _fault(err)}, status=400)
    return see_other(f"/w/{visit.workspace.id}/keys", "key")


@router.post("/w/{workspace_id}/keys/publishable/{key_id}/rights")
async def set_key_rights(visit: InWorkspace, key_id: str) -> Response:
    try:
        await visit.catalog.publishable_keys.set_rights(
            visit.organisation,
            key_id,
            _chosen(visit.form),
            kept_wide="kept_wide" in visit.form,
        )
    except (InvalidValue, OlderRelease) as err:
        return await _page(visit, faults={key_id: _fault(err)}, status=400)
    return see_other(f"/w/{visit.workspace.id}/keys", "rights")


@router.post("/w/{workspace_id}/keys/machine")
async def create_machine_key(visit: InWorkspace) -> Response:
    """Create it. The answer shows its secret, once."""
    session = visit.session
    try:
        made = await visit.catalog.machine_keys.create(
            session.organisation, name=visit.form.text("name"), created_by=session.key
        )
    except InvalidValue as err:
        return await _page(visit, faults={"machine": f"The name {err.problem}."}, status=400)
    return await _page(visit, made=made)


@router.post("/w/{workspace_id}/keys/publishable/{key_id}/revoke")
async def revoke_publishable_key(visit: InWorkspace, key_id: str) -> Response:
    await visit.catalog.publishable_keys.revoke(visit.organisation, key_id)
    return see_other(f"/w/{visit.workspace.id}/keys", "revoked")


@router.post("/w/{workspace_id}/keys/machine/{key_id}/revoke")
async def revoke_machine_key(visit: InWorkspace, key_id: str) -> Response:
    """Revoke it. If it is the session's own key, the session ends."""
    await visit.catalog.machine_keys.revoke(visit.organisation, key_id)
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
    publishable = await catalog.publishable_keys.list(session.organisation)
    return await visit.page(
        "keys.html",
        status=status,
        publishable=[key for key in publishable if key.workspace == visit.workspace.id],
        machine=await catalog.machine_keys.list(session.organisation),
        made=made,
        faults=faults or {},
    )
