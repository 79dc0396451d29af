"""Add the console's pages to the application that serves the API."""

from __future__ import annotations

from inspect import isawaitable

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from eventlog.counts import KeptCounts
from starter.api.dependencies import Dependencies
from starter.api.failed_attempts import FailedAttempts
from starter.console.development import DevelopmentKey
from starter.console.errors import error_page
from starter.console.rendering import read_assets, read_templates
from starter.console.routes import (
    alerts,
    assets,
    audit,
    connections,
    dashboard,
    deliveries,
    events,
    issues,
    keys,
    launch,
    people,
    redeliveries,
    rule_trials,
    rules,
    sessions,
    signing,
    single_sign_on,
    status,
    workspaces,
)
from starter.console.session import Cookies
from starter.console.shared_reads import SharedReads
from starter.console.single_sign_on import SingleSignOn
from starter.console.visit import Visit

# How many failed sign-ins a process records in the audit a minute, whoever made them.
RECORDED_FAILURES = 60

MODULES = (
    alerts,
    assets,
    audit,
    signing,
    single_sign_on,
    sessions,
    launch,
    workspaces,
    dashboard,
    connections,
    rules,
    rule_trials,
    events,
    issues,
    deliveries,
    redeliveries,
    keys,
    people,
    status,
)


class Console:
    """Called with the application to add it to.

    `development` is the key that may be signed in with by a link, None in production.
    `single_sign_on` is None where people sign in with keys only.
    """

    def __init__(
        self,
        parts: Dependencies,
        *,
        development: DevelopmentKey | None = None,
        single_sign_on: SingleSignOn | None = None,
    ) -> None:
        self.assets = read_assets()
        self.templates = read_templates(self.assets)
        self.cookies = Cookies(parts.public_url)
        self.failed_sign_ins = FailedAttempts()
        self.recorded_failures = FailedAttempts(RECORDED_FAILURES)
        self.shared_reads = SharedReads()
        self.kept_counts = KeptCounts()
        self.single_sign_on = single_sign_on
        self.development = development
        self.development_link_used = False

    def __call__(self, app: FastAPI) -> None:
        app.state.console = self
        for module in MODULES:
            app.include_router(module.router)
        answer = app.exception_handlers[HTTPException]

        async def page_or_answer(request: Request, error: Exception) -> Response:
            """Answer a person with a page, and a program with the API's JSON."""
            accepted = request.headers.get("accept", "")
            if "text/html" in accepted and not request.url.path.startswith(("/api/", "/codec")):
                return error_page(Visit(request), error)
            answered = answer(request, error)
            return await answered if isawaitable(answered) else answered

        app.add_exception_handler(HTTPException, page_or_answer)
