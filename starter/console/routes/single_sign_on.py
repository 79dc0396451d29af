"""Sign in at an OpenID Connect provider."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from starlette.responses import RedirectResponse, Response

from catalog.api_keys import hash_of
from catalog.console_sessions import FRESH
from emitonce.ids import user_id_for
from starter.api.errors import not_found
from starter.console.route import Visited, public_router
from starter.console.routes.signing import failed_sign_in, record_sign_in, sign_in_page
from starter.console.session import NAME_COOKIE, SIGN_IN_COOKIE, NoSession, local_path
from starter.console.single_sign_on import (
    CALLBACK,
    Attempt,
    NotIdentified,
    ProviderUnavailable,
    SingleSignOn,
)
from starter.console.visit import Visit

router = public_router()

LONGEST_PATH = 1_000


@dataclass(frozen=True)
class Started:
    """What the browser keeps of a started sign-in: the page that it leads to, whether people must
    enter their credentials again, and the hash, in hexadecimal, of the session's id that it ends.
    """

    secret: str
    next: str
    again: bool
    replaces: str


@router.get("/sign-in/provider")
async def go_to_provider(visit: Visited) -> Response:
    """Send the browser to the provider. With `again=1`, people have to sign in there again."""
    provider, next = _provider(visit), local_path(visit.query.get("next"))
    started = Started(
        secrets.token_urlsafe(32),
        next if len(next) <= LONGEST_PATH else "/",
        visit.query.get("again") == "1",
        _current(visit),
    )
    try:
        url = await provider.url(Attempt(started.secret), again=started.again)
    except ProviderUnavailable as err:
        return sign_in_page(visit, next=next, error=str(err), status=503)
    response = RedirectResponse(url, status_code=303)
    values = (started.secret, started.next, started.again, started.replaces)
    visit.cookies.keep(visit.request, response, SIGN_IN_COOKIE, *values)
    return response


@router.get(CALLBACK)
async def come_from_provider(visit: Visited) -> Response:
    """Start a session for who comes back from the provider, if they have a role.

    The answer is a page of ours that leads on: a redirect would still count as the provider's, and
    the browser would not send the session's cookie with it.
    """
    response = await _signed_in(visit, _provider(visit))
    visit.cookies.drop(visit.request, response, SIGN_IN_COOKIE)
    return response


async def _signed_in(visit: Visit, provider: SingleSignOn) -> Response:
    started = _started(visit)
    try:
        if started is None:
            raise NotIdentified(
                "This sign-in was started in another browser, or too long ago. Try again."
            )
        identity = await provider.identify(Attempt(started.secret), visit.query)
    except ProviderUnavailable as err:
        return sign_in_page(visit, next="/", error=str(err), status=503)
    except NotIdentified as err:
        return await failed_sign_in(visit, str(err), next=started.next if started else "/")
    user = user_id_for(visit.parts.instance_secret, provider.client.issuer, identity.subject)
    organization = (await visit.catalog.organizations.default()).id
    ago = identity.signed_in_ago
    if not identity.scopes:
        await record_sign_in(visit, f"user:{user}", organization, "403")
        return visit.part("no_role.html", status=403, name=identity.name, user=user)
    if started.again and (ago is None or ago > FRESH):
        error = "The sign-in service did not ask you to sign in again, so nothing has changed."
        return sign_in_page(visit, next=started.next, error=error, status=403)
    await record_sign_in(visit, f"user:{user}", organization)
    id = await visit.catalog.console_sessions.begin_for_user(
        user,
        organization,
        identity.scopes,
        signed_in_ago=ago,
        replaces=bytes.fromhex(started.replaces),
    )
    response = visit.part("signed_in.html", next=started.next, name=identity.name)
    visit.cookies.set(visit.request, response, id)
    visit.cookies.keep(visit.request, response, NAME_COOKIE, identity.name)
    return response


def _provider(visit: Visit) -> SingleSignOn:
    found: SingleSignOn | None = visit.console.single_sign_on
    if found is None:
        raise not_found("page", "page; this installation has no single sign-on")
    return found


def _current(visit: Visit) -> str:
    try:
        return hash_of(visit.cookies.read(visit.request)).hex()
    except NoSession:
        return ""


def _started(visit: Visit) -> Started | None:
    match visit.cookies.kept(visit.request, SIGN_IN_COOKIE):
        case [str(secret), str(next), bool(again), str(replaces)]:
            try:
                bytes.fromhex(replaces)
            except ValueError:
                return None
            return Started(secret, local_path(next), again, replaces)
    return None
