"""Mappings, and the fields that they can fill."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictInt

from delivery.mapping_schema import MappingSchema
from starter.api.schemas.shared import (
    Answer,
    Id,
    Input,
    IntegrationType,
    Maybe,
    Moment,
    Stamped,
    Text,
)


class MappingInput(Input):
    """`expected_version` is the version that was read; 0 also stands for the generated one's."""

    mapping: Annotated[MappingSchema, Field(alias="schema")]
    name: Annotated[Text, Field(min_length=1, max_length=64)] | None = None
    mapping_id: Annotated[Text | None, Field(json_schema_extra={"format": "uuid"})] = None
    workspace_id: Annotated[Text | None, Field(json_schema_extra={"format": "uuid"})] = None
    expected_version: Annotated[StrictInt, Field(ge=0, le=2_147_483_647)] | None = None


class OfConnection(Stamped):
    id: Id
    workspace_id: Id
    connection_id: Id
    integration_type: IntegrationType
    catalog_version: str


class Mapping(OfConnection):
    mapping_id: Id
    version: Annotated[int, Field(ge=1)]
    name: str
    mapping: Annotated[MappingSchema, Field(alias="schema")]
    created_by: Maybe[str] = None


class MappingResult(Answer):
    """`generated`: none is stored, and payload keys map to the fields of the same name."""

    status: Literal["stored", "generated"]
    mapping: Mapping


class Constraints(Answer):
    format: Maybe[str] = None
    required: Maybe[bool] = None
    max_length: Maybe[int] = None


class CatalogField(Answer):
    key: str
    label: str
    type: Literal["string"]
    description: str
    constraints: Constraints


class FieldCatalog(OfConnection):
    refreshed_at: Moment
    created_by: str
    fields: list[CatalogField]
