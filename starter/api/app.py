"""The application: its routes, middleware and OpenAPI document."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import ModuleType

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response

from engine.failing_fast import failing_fast
from operations.status_reader import StatusReader
from starter.api.accepting import Accepting
from starter.api.audited import REFUSED_ACTS
from starter.api.auth import Authentication
from starter.api.codec import codec_routes
from starter.api.dependencies import Dependencies
from starter.api.docs_page import DOCS_HEADERS, docs_page
from starter.api.failed_attempts import FailedAttempts
from starter.api.middleware import (
    PREFIX,
    BoundedBody,
    Failures,
    IngestionCors,
    Observed,
    SecurityHeaders,
    answer_to,
)
from starter.api.openapi import describe, document_of
from starter.api.quotas import QuotaCheck
from starter.api.routes import (
    audit,
    connections,
    deliveries,
    events,
    health,
    ingestion,
    integrations,
    issues,
    mappings,
    people,
    publishable_keys,
    redeliveries,
    rule_trials,
    rules,
    sessions,
    status,
    workspaces,
)
from starter.api.routing import scope_of
from starter.api.session_tokens import SessionTokens
from starter.api.token_buckets import TokenBuckets

MANAGEMENT = (
    events,
    deliveries,
    issues,
    people,
    redeliveries,
    rules,
    rule_trials,
    connections,
    mappings,
    workspaces,
    publishable_keys,
    integrations,
    sessions,
    audit,
    status,
)


def create_app(
    parts: Dependencies,
    *,
    console: Callable[[FastAPI], None] | None = None,
    assistants: Callable[[FastAPI], None] | None = None,
) -> FastAPI:
    """Create the API over `parts`. It doesn't close them: whoever opened them does.

    `console` adds its pages to the application, and `assistants` the tools for them: see
    `starter.console` and `starter.mcp`.
    """
    app = FastAPI(
        title="emitonce",
        version="1.0.0",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
        separate_input_output_schemas=False,
        # It would record queries, which may hold personal data.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    parts = replace(parts, client=failing_fast(parts.client))
    app.state.parts = parts
    app.state.status = StatusReader(parts.client, parts.catalog, parts.task_queue)
    catalog = parts.catalog
    app.state.session_tokens = SessionTokens(catalog.embed_sessions, catalog.cipher.ring)
    app.state.authentication = Authentication(
        catalog.api_key_lookup, app.state.session_tokens, FailedAttempts()
    )
    app.state.refused_acts = FailedAttempts(REFUSED_ACTS)
    app.state.erasing = Counter[str]()
    app.state.buckets = TokenBuckets(catalog.quotas)
    quotas = QuotaCheck(app.state.buckets, parts.quotas, catalog.api_key_lookup, parts.meter)
    app.state.accepting = Accepting(parts, app.state.authentication, quotas)
    for module in (ingestion, *MANAGEMENT):
        app.include_router(module.router, prefix=PREFIX)
    app.include_router(health.router)
    app.add_api_route("/openapi.json", _openapi, include_in_schema=False)
    app.add_api_route("/docs", _docs, include_in_schema=False, response_class=HTMLResponse)
    for error in (RequestValidationError, HTTPException):
        app.add_exception_handler(error, _answer)
    for addition in (console, assistants):
        if addition is not None:
            addition(app)
    # The last one added is the outermost.
    app.add_middleware(BoundedBody)
    app.add_middleware(Failures)
    codec = parts.client.data_converter.payload_codec
    if parts.codec is not None and codec is not None:
        app.routes.extend(codec_routes(codec, parts.codec))
    app.add_middleware(IngestionCors)
    app.add_middleware(SecurityHeaders, public_url=parts.public_url)
    app.add_middleware(Observed, meter=parts.meter)
    describe(app, {route.name: scope_of(route) for route in _routes(ingestion, *MANAGEMENT)})
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


async def _answer(request: Request, error: Exception) -> Response:
    answer = answer_to(error, request.scope)
    if answer.status_code == 405 and (allowed := _allowed_methods(request.url.path)):
        answer.headers["Allow"] = ", ".join(allowed)
    return answer


def _allowed_methods(path: str) -> list[str]:
    """Return the methods of all routes of the path; the framework names those of only one."""
    within = path.removeprefix(PREFIX)
    routes = [
        route
        for route in _routes(ingestion, *MANAGEMENT, health)
        if route.include_in_schema and route.path_regex.match(within)
    ]
    same = [route.methods or () for route in routes if route.path == routes[0].path]
    return sorted({method for methods in same for method in methods})


def _routes(*modules: ModuleType) -> Iterator[APIRoute]:
    for module in modules:
        yield from (route for route in module.router.routes if isinstance(route, APIRoute))


async def _openapi(request: Request) -> JSONResponse:
    return JSONResponse(await document_of(request.app))


async def _docs(request: Request) -> HTMLResponse:
    page = await asyncio.to_thread(docs_page, await document_of(request.app))
    return HTMLResponse(page, headers=DOCS_HEADERS)
