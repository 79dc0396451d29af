"""Who did what."""

from __future__ import annotations

from typing import Any

from catalog.scopes import MANAGE
from starter.api.describing import errors
from starter.api.queries import DEFAULT_LIMIT, Cursor, Limit, page_of
from starter.api.routing import ApiDependencies, Organization, management_router, needs
from starter.api.schemas.audit import RecordedAct
from starter.api.schemas.shared import Page
from starter.json_objects import act_object

router = management_router("Audit")


@router.get(
    "/audit",
    response_model=Page[RecordedAct],
    summary="List who changed, paused, retried or canceled something, newest first",
    responses=errors(400),
)
@needs(MANAGE)
async def list_audit(
    parts: ApiDependencies,
    organization: Organization,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Any:
    """An act is recorded before it is done, its outcome afterwards. `outcome` is `done`, the status
    of an error, or null where it isn't known.
    """
    found = await parts.catalog.audit.list(organization, limit=limit, cursor=cursor)
    return page_of(found, limit, act_object)
