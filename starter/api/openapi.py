"""Make the OpenAPI 3.1 document: FastAPI's own, completed so that it describes the API fully."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from starter.api.routing import MACHINE
from starter.api.schemas import (
    connections,
    events,
    mappings,
    people,
    publishable_keys,
    redeliveries,
    rules,
    sessions,
    workspaces,
)
from starter.json_objects import JsonObject

# The bodies, which FastAPI doesn't know, since `starter.api.bodies` reads them.
INPUTS: tuple[type[BaseModel], ...] = (
    events.EventInput,
    connections.ChangedConnection,
    rules.ChangedRule,
    connections.ConnectionInput,
    connections.DeleteConnection,
    publishable_keys.KeyRightsInput,
    mappings.MappingInput,
    publishable_keys.PublishableKeyInput,
    rules.RuleInput,
    rules.RuleTrial,
    workspaces.WorkspaceInput,
    people.PersonInput,
    redeliveries.RedeliveryInput,
    sessions.SessionInput,
)

DESCRIPTION = """\
Emit a product event once; it reaches its destinations durably, each call in order.

Meshes' clients work against this API by changing their base URL. An event is accepted, 201, once
Temporal has stored its start. Every answer has an `X-Request-Id`; every error has the form of
`ErrorBody`. An id that names nothing, or nothing of yours, is answered with 404.
"""

# By operation: `request`, and `answers` by status.
EXAMPLES = Path(__file__).with_name("examples.json")


def describe(app: FastAPI, scopes: dict[str, str]) -> None:
    """Make `app.openapi()` return the complete document, which it makes on the first call.

    `scopes` has, by operation id, the scope that a key needs.
    """
    of_fastapi: Callable[[], JsonObject] = app.openapi
    app.description = DESCRIPTION
    making = threading.Lock()

    def openapi() -> JsonObject:
        with making:
            if app.openapi_schema is None:
                app.openapi_schema = _completed(of_fastapi(), scopes)
            return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


async def document_of(app: FastAPI) -> JsonObject:
    """Return the document. It is made in a thread, since that takes a quarter of a second, and
    anyone may be the first to ask."""
    return await asyncio.to_thread(app.openapi)


def _completed(document: JsonObject, scopes: dict[str, str]) -> JsonObject:
    schemas = document["components"]["schemas"]
    _, inputs = models_json_schema(
        [(model, "validation") for model in INPUTS],
        ref_template="#/components/schemas/{model}",
    )
    schemas.update(inputs["$defs"])
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    examples = json.loads(EXAMPLES.read_text())
    for path in document["paths"].values():
        for operation in path.values():
            _complete(operation, examples[operation["operationId"]])
            for way in operation.get("security", []):
                if MACHINE.scheme_name in way:
                    way[MACHINE.scheme_name] = [scopes[operation["operationId"]]]
    _drop_null_defaults(document)
    document["servers"] = [{"url": "/"}]
    return document


def _complete(operation: JsonObject, examples: JsonObject) -> None:
    """Remove FastAPI's own 422, which is a 400 here, and add the examples."""
    responses = operation["responses"]
    invalid = responses.get("422")
    if invalid is not None and "HTTPValidationError" in str(invalid):
        del responses["422"]
    for parameter in operation.get("parameters", []):
        parameter["schema"] = _without_null(parameter["schema"])
    if "request" in examples:
        operation["requestBody"]["content"]["application/json"]["example"] = examples["request"]
    for status, answer in examples["answers"].items():
        responses[status]["content"]["application/json"]["example"] = answer


def _without_null(schema: JsonObject) -> JsonObject:
    """Remove null: a parameter may be left out, but a query or header can't hold null."""
    choices = [choice for choice in schema.get("anyOf", []) if choice != {"type": "null"}]
    if len(choices) != 1:
        return schema
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**choices[0], **rest}


def _drop_null_defaults(value: Any) -> None:
    """Remove the default null that Pydantic gives to fields that may be absent but never null."""
    if isinstance(value, dict):
        if value.get("default", "") is None:
            del value["default"]
        for inner in value.values():
            _drop_null_defaults(inner)
    elif isinstance(value, list):
        for inner in value:
            _drop_null_defaults(inner)
