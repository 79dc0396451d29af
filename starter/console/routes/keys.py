"""Keys: publishable ones emit into this workspace, machine ones act for the organisation."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from catalog.api_key_rights import KeyRights
from catalog.api_keys import NewMachineKey
from catalog.errors import InvalidValue, OlderRelease
from starter.console.forms import Form
from starter.console.route import (
    InWorkspace,
    console_router,
    dependencies_of,
    form_of,
    pages_of,
    see_other,
    session_of,
)

router = console_router()


@router.get("/w/{workspace_id}/keys")
async def show_keys(request: Request, workspace: InWorkspace) -> Response:
    return await _page(request)


@router.post("/w/{workspace_id}/keys/publishable")
async def create_publishable_key(request: Request, workspace: InWorkspace) -> Response:
    session = session_of(request)
    try:
        await dependencies_of(request).catalog.publishable_keys.create(
            session.organisation,
            workspace=workspace.id,
            name=form_of(request).text("name"),
            created_by=session.key,
            rights=_chosen(form_of(request)),
            kept_wide=form_of(request).has("kept_wide"),
        )
    except (InvalidValue, OlderRelease) as err:
        return await _page(request, faults={"publishable": _fault(err)}, status=400)
    return see_other(f"/w/{workspace.id}/keys", "key")


@router.post("/w/{workspace_id}/keys/publishable/{key_id}/rights")
async def set_key_rights(request: Request, workspace: InWorkspace, key_id: str) -> Response:
    try:
        await dependencies_of(request).catalog.publishable_keys.set_rights(
            session_of(request).organisation,
            key_id,
            _chosen(form_of(request)),
            kept_wide=form_of(request).has("kept_wide"),
        )
    except (InvalidValue, OlderRelease) as err:
        return await _page(request, faults={key_id: _fault(err)}, status=400)
    return see_other(f"/w/{workspace.id}/keys", "rights")


@router.post("/w/{workspace_id}/keys/machine")
async def create_machine_key(request: Request, workspace: InWorkspace) -> Response:
    """Its secret is shown in the answer, once."""
    session = session_of(request)
    try:
        made = await dependencies_of(request).catalog.machine_keys.create(
            session.organisation, name=form_of(request).text("name"), created_by=session.key
        )
    except InvalidValue as err:
        return await _page(request, faults={"machine": f"The name {err.problem}."}, status=400)
    return await _page(request, made=made)


@router.post("/w/{workspace_id}/keys/publishable/{key_id}/revoke")
async def revoke_publishable_key(request: Request, workspace: InWorkspace, key_id: str) -> Response:
    await dependencies_of(request).catalog.publishable_keys.revoke(
        session_of(request).organisation, key_id
    )
    return see_other(f"/w/{workspace.id}/keys", "revoked")


@router.post("/w/{workspace_id}/keys/machine/{key_id}/revoke")
async def revoke_machine_key(request: Request, workspace: InWorkspace, key_id: str) -> Response:
    """Of one's own key: the session ends with it."""
    await dependencies_of(request).catalog.machine_keys.revoke(
        session_of(request).organisation, key_id
    )
    return see_other(f"/w/{workspace.id}/keys", "revoked")


def _chosen(form: Form) -> KeyRights:
    """Events and origins are typed one a line; none means any."""
    events, origins = (
        [line.strip() for line in form.raw(name).splitlines() if line.strip()]
        for name in ("events", "origins")
    )
    return KeyRights.of(events or None, origins or None, form.optional("identify"))


def _fault(error: InvalidValue | OlderRelease) -> str:
    if isinstance(error, OlderRelease):
        return f"Not saved: {error}."
    return f"{error.field.capitalize()}: {error.problem}."


async def _page(
    request: Request,
    *,
    made: NewMachineKey | None = None,
    faults: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    catalog, session = dependencies_of(request).catalog, session_of(request)
    publishable = await catalog.publishable_keys.list(session.organisation)
    return await pages_of(request).page(
        request,
        "keys.html",
        status=status,
        publishable=[key for key in publishable if key.workspace == request.state.workspace.id],
        machine=await catalog.machine_keys.list(session.organisation),
        made=made,
        faults=faults or {},
    )
