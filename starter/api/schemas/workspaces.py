"""Workspaces."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from starter.api.schemas.publishable_keys import PublishableKey
from starter.api.schemas.shared import Answer, Id, Input, Stamped, Text


class WorkspaceInput(Input):
    name: Annotated[Text, Field(pattern=r"^[a-zA-Z0-9 _-]{3,50}$")]
    description: Annotated[Text, Field(max_length=1024)] | None = None


class Workspace(Stamped):
    id: Id
    name: str
    description: str | None


class WorkspaceWithKey(Workspace):
    """`publishable_key` is the newest in use; null when all are revoked."""

    publishable_key: PublishableKey | None


class CreatedWorkspace(Answer):
    workspace: Workspace


class CatalogEntry(Stamped):
    id: Id
    key: str
    label: str
    description: str | None
    active: bool
    created_by: str | None
