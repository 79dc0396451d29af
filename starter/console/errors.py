"""Error pages."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

from starlette.responses import RedirectResponse, Response

from catalog.traffic import Waiting
from operations.status import Facts, judge, waiting_sentence
from starter.api.errors import ApiError, as_api_error, phrase_of
from starter.api.middleware import logged_error
from starter.console.session import NoSession
from starter.console.visit import BANNER, Visit
from starter.console.words import sentence

_TITLES = {
    400: "Invalid request",
    401: "Your session has ended",
    403: "Not allowed",
    404: "Not found",
    405: "Not found",
    409: "Not possible now",
    413: "Too large",
    425: "An attempt is in progress",
    500: "Something went wrong here",
    503: "Temporarily unavailable",
}


def error_page(visit: Visit, error: Exception) -> Response:
    """Say in words what went wrong, and offer a way back."""
    if not isinstance(error, NoSession):
        return _page(visit, _answer(error, visit))
    if visit.request.method == "POST":
        message = "your session has ended, so nothing was done: sign in and try again"
        return _page(visit, ApiError(401, message))
    if visit.in_place:
        refreshes = visit.request.url.path != BANNER
        return Response(status_code=401, headers={"HX-Refresh": "true"} if refreshes else None)
    ended = "&ended=1" if error.ended else ""
    return RedirectResponse(f"/sign-in?next={quote(_here(visit), safe='')}{ended}", status_code=303)


def _answer(error: Exception, visit: Visit) -> ApiError:
    if isinstance(error, TimeoutError):
        return ApiError(503, "Temporal or the database did not answer in time: try again")
    return as_api_error(error) or logged_error(error, visit.request.scope)


def _page(visit: Visit, error: ApiError) -> Response:
    """Render it without the database, which may be what is unavailable."""
    if visit.request.url.path == BANNER and error.status == 503:
        now = datetime.now(UTC)
        return visit.part(
            "banner.html",
            deliveries=judge(Facts(now, None, None, Waiting())),
            waiting=waiting_sentence(None, None, now),
        )
    again = visit.request.method == "GET" and error.status >= 500
    response = visit.part(
        "error_part.html" if visit.in_place else "error.html",
        status=error.status,
        error_status=error.status,
        title=_TITLES.get(error.status, phrase_of(error.status)),
        message=sentence(error.message),
        again=_here(visit) if again else None,
        request_id=visit.request.state.request_id,
    )
    response.headers.update(error.headers)
    return response


def _here(visit: Visit) -> str:
    url = visit.request.url
    return f"{url.path}?{url.query}" if url.query else url.path
