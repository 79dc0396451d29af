"""How an operation is described in the OpenAPI document, beside its route."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from starter.api.errors import phrase_of
from starter.api.schemas.shared import ErrorBody

Responses = dict[int | str, dict[str, Any]]


def errors(*statuses: int) -> Responses:
    """Describe the errors with these statuses, and those of every operation."""
    return {
        status: {"model": ErrorBody, "description": phrase_of(status)}
        for status in sorted({401, 403, 429, 500, 503, *statuses})
    }


def body_of(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """Describe the request's body, which `starter.api.bodies` reads."""
    return _body({"$ref": f"#/components/schemas/{model.__name__}"}, required)


def array_of(model: type[BaseModel], *, most: int) -> dict[str, Any]:
    items = {"$ref": f"#/components/schemas/{model.__name__}"}
    return _body({"type": "array", "items": items, "minItems": 1, "maxItems": most}, True)


def _body(schema: dict[str, Any], required: bool) -> dict[str, Any]:
    return {
        "requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}
    }
