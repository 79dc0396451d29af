"""Routes that find out who is calling before they read anything else of a request."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar, cast

from fastapi import APIRouter, Depends, Security
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from catalog.scopes import MANAGE, READ
from starter.api.audited import Right, handle_for_caller
from starter.api.auth import PUBLISHABLE_HEADER, Authentication, Caller
from starter.api.dependencies import Dependencies
from starter.api.queries import PathId

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

# For the OpenAPI document only; `Authentication` does the checking.
MACHINE = HTTPBearer(
    scheme_name="machineToken",
    bearerFormat="JWT",
    description="HS256, signed with a machine key's secret: `kid` the access key, `iss` "
    "`urn:meshes:m2m:<access key>`, `aud` `meshes-api`, `org` the organization, at most 60 "
    "seconds from `iat` to `exp`. Or a static token, `emitonce_…`. Each operation names the scope "
    "that the key needs.",
    auto_error=False,
)
PUBLISHABLE = APIKeyHeader(
    name=PUBLISHABLE_HEADER.title(),
    scheme_name="publishableKey",
    description="`mesh_pub_…_…_…`; for ingestion only, not a secret.",
    auto_error=False,
)


class ManagementRoute(APIRoute):
    """A route that needs a bearer token whose key has the route's scope."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        # Fields that an answer leaves out aren't filled in with defaults.
        super().__init__(path, endpoint, **options | {"response_model_exclude_unset": True})

    def get_route_handler(self) -> Handler:
        handle, right = super().get_route_handler(), right_of(self)

        async def authenticated(request: Request) -> Response:
            request.state.caller = await self.caller(request)
            return await handle_for_caller(request, "api", self.name, right, handle)

        return authenticated

    async def caller(self, request: Request) -> Caller:
        return await authentication(request).machine(request)


def needs(scope: str) -> Callable[[Endpoint], Endpoint]:
    """Mark a route's function with the scope that a key needs to call it."""

    def marked(function: Endpoint) -> Endpoint:
        function.scope = scope  # type: ignore[attr-defined]
        return function

    return marked


def embeddable(*types: str) -> Callable[[Endpoint], Endpoint]:
    """Mark a route's function with the types of embedded sessions that may call it: by default
    none."""

    def marked(function: Endpoint) -> Endpoint:
        function.sessions = frozenset(types)  # type: ignore[attr-defined]
        return function

    return marked


def right_of(route: APIRoute) -> Right:
    """Return what `needs` and `embeddable` gave the route's function. The scope is by default
    `read` for GET, else `manage`."""
    by_method = READ if route.methods == {"GET"} else MANAGE
    return Right(
        str(getattr(route.endpoint, "scope", by_method)),
        getattr(route.endpoint, "sessions", frozenset()),
    )


def scope_of(route: APIRoute) -> str:
    return right_of(route).scope


class IngestionRoute(ManagementRoute):
    """A route that needs a publishable key or a bearer token."""

    async def caller(self, request: Request) -> Caller:
        return await authentication(request).any_key(request)


def management_router(tag: str) -> APIRouter:
    return APIRouter(route_class=ManagementRoute, dependencies=[Security(MACHINE)], tags=[tag])


def ingestion_router(tag: str) -> APIRouter:
    return APIRouter(
        route_class=IngestionRoute,
        dependencies=[Security(PUBLISHABLE), Security(MACHINE)],
        tags=[tag],
    )


def authentication(request: Request) -> Authentication:
    return cast(Authentication, request.app.state.authentication)


def caller_of(request: Request) -> Caller:
    return cast(Caller, request.state.caller)


# What a route's function can ask for, by the type of a parameter.


async def _dependencies(request: Request) -> Dependencies:
    return cast(Dependencies, request.app.state.parts)


async def _caller(request: Request) -> Caller:
    return caller_of(request)


async def _organization(request: Request) -> str:
    """Return the organization of a management call, which no publishable key can make."""
    organization = caller_of(request).organization
    assert organization is not None
    return organization


async def _own_workspace(request: Request, workspace_id: PathId) -> str:
    """Return the workspace's id. Raises `ApiError` 404 if it isn't one of the caller's."""
    return await authentication(request).require_workspace(
        caller_of(request), workspace_id, "workspace_id"
    )


ApiDependencies = Annotated[Dependencies, Depends(_dependencies)]
Called = Annotated[Caller, Depends(_caller)]
Organization = Annotated[str, Depends(_organization)]
OwnWorkspace = Annotated[str, Depends(_own_workspace)]
