"""`emitonce alerts …`: where alerts are posted."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer
from pydantic import SecretStr

from clear_text import clear_url
from delivery.alert import AlertFormat, AlertTarget
from destinations.http.exchange import read_url
from destinations.webhook.signature import read_secret
from process import alert_target
from settings import Settings
from starter.alert_target import changed_target, origin_of, try_target
from starter.cli.dependencies import Dependencies, command, recorded, with_dependencies
from starter.cli.errors import CommandFailed, Exit
from starter.cli.output import Json, print_answer, say

alerts = typer.Typer(help="Alerts: where failures of connections and deliveries are reported.")

NO_TARGET = "no alert target, so no alerts are sent: emitonce alerts set --url https://…"

Url = Annotated[str | None, typer.Option(help="Where to post; - reads it from standard input.")]
Secret = Annotated[
    str | None,
    typer.Option(
        help="whsec_ and base64; - reads it from input. Default: the current one, or a new one."
    ),
]
Format = Annotated[
    AlertFormat | None,
    typer.Option(help="signed, or slack: as incoming webhooks of Slack and others read them."),
]
HeartbeatUrl = Annotated[
    str | None,
    typer.Option(
        help="Requested by GET while deliveries are watched; - reads it from input, '' removes it."
    ),
]


@alerts.command("set")
def set_target(
    url: Url = None,
    secret: Secret = None,
    heartbeat_url: HeartbeatUrl = None,
    format: Format = None,
    as_json: Json = False,
) -> None:
    """Set where alerts are posted. Options that you leave out keep their values.

    All of it is stored encrypted. A new secret is shown only once: the receiver needs it to verify
    signatures.
    """
    given_url = _read("--url", url, read_url)
    given_secret = _read("--secret", secret, read_secret)
    given_heartbeat = _read("--heartbeat-url", heartbeat_url, lambda url: url and read_url(url))
    for option, given in (("--url", given_url), ("--heartbeat-url", given_heartbeat)):
        if given and clear_url(given.get_secret_value()):
            Settings().forbid_in_production(
                f"{option} to reach another network in clear text",
                "give a URL that starts with https://",
            )

    @with_dependencies
    @recorded("set_alert_target")
    async def store(parts: Dependencies) -> tuple[AlertTarget, bool]:
        changed = changed_target(
            await parts.catalog.alert_targets.get(),
            given_url,
            secret=given_secret,
            heartbeat_url=given_heartbeat,
            format=format,
        )
        if changed is None:
            raise typer.BadParameter("no alert target is stored yet", param_hint="--url")
        await parts.catalog.alert_targets.set(changed[0])
        return changed

    target, made = store()
    _print(target, "catalog", as_json=as_json, new_secret=made)
    if made:
        say("the secret is not shown again; give it to the receiver")
    say("workers post alerts there from now on; they start to watch deliveries within a minute")


@command(alerts, "show")
async def show(parts: Dependencies, as_json: Json = False) -> None:
    """Show where alerts are posted, without what may be secret in the URLs."""
    target, source = await _current(parts)
    if target is None:
        print_answer({"source": None}, NO_TARGET, as_json=as_json)
    else:
        _print(target, source, as_json=as_json)


@command(alerts, "remove")
@recorded("remove_alert_target")
async def remove(parts: Dependencies, as_json: Json = False) -> None:
    """Remove the stored target. If EMITONCE_ALERT_URL is set, alerts are posted there."""
    removed = await parts.catalog.alert_targets.remove()
    words = "removed" if removed else "no alert target is stored"
    print_answer({"removed": removed}, words, as_json=as_json)


@command(alerts, "test")
@recorded("test_alert_target")
async def send_test(parts: Dependencies, as_json: Json = False) -> None:
    """Post a test alert, and request the heartbeat URL, from this machine.

    Exit code 1 when one of them doesn't answer with 2xx.
    """
    target, _ = await _current(parts)
    if target is None:
        raise CommandFailed(Exit.NOT_FOUND, NO_TARGET)
    answers = await try_target(target, parts.settings.runbook_url)
    words = "\n".join(f"{what:<10} {answer}" for what, answer in answers.items())
    print_answer(answers, words, as_json=as_json)
    if any(isinstance(answer, str) for answer in answers.values()):
        raise CommandFailed(Exit.BAD)


async def _current(parts: Dependencies) -> tuple[AlertTarget | None, str]:
    """Return the target in use and where it is set."""
    target = await alert_target(parts.catalog, parts.settings)()
    stored = await parts.catalog.alert_targets.get()
    return target, "catalog" if stored else "EMITONCE_ALERT_URL"


def _read(option: str, given: str | None, check: Callable[[str], object]) -> SecretStr | None:
    if given is None:
        return None
    value = SecretStr(sys.stdin.readline().strip() if given == "-" else given)
    try:
        check(value.get_secret_value())
    except ValueError as err:
        raise typer.BadParameter(str(err), param_hint=option) from None
    return value


def _print(target: AlertTarget, source: str, *, as_json: bool, new_secret: bool = False) -> None:
    url = origin_of(target.url)
    heartbeat = origin_of(target.heartbeat_url) if target.heartbeat_url else None
    shown = {"source": source, "format": target.format, "url": url, "heartbeat_url": heartbeat}
    words = f"alerts     {url} (from {source}, {target.format})\nheartbeat  {heartbeat or 'none'}"
    if new_secret:
        shown["secret"] = target.secret.get_secret_value()
        words += f"\nsecret     {shown['secret']}"
    print_answer(shown, words, as_json=as_json)
