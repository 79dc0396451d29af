"""A destination's fields on the command line: `--set KEY=VALUE` and `--secret KEY`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Annotated

import typer

from destinations.customerio.simulator import EU_KEY, US_KEY
from destinations.destination import Destination, Field
from settings import Settings
from starter.cli.output import say

Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="A setting; repeatable. An empty value clears it."
    ),
]
SecretKeys = Annotated[
    list[str] | None,
    typer.Option(
        "--secret",
        metavar="KEY",
        help="A secret to enter; repeatable. Its value comes from EMITONCE_SECRET_<KEY>, from a "
        "line of standard input, or you are asked for it.",
    ),
]
Region = Annotated[str | None, typer.Option(help="The same as --set region=…")]
ApiKey = Annotated[
    str | None,
    typer.Option(
        help="The secret of a destination that has only one; - reads it from standard input."
    ),
]

# Known by this name before others had secrets, too.
_ENVIRONMENT = {"cdpApiKey": "CUSTOMERIO_CDP_API_KEY"}


def read_pairs(given: Iterable[str] | None) -> dict[str, str]:
    pairs = {}
    for one in given or ():
        key, equals, value = one.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"{one!r} is not KEY=VALUE", param_hint="--set")
        pairs[key] = value
    return pairs


def read_fields(
    destination: Destination,
    sets: Iterable[str] | None,
    secrets: Iterable[str] | None,
    *,
    region: str | None = None,
    api_key: str | None = None,
    new: bool = False,
) -> dict[str, str]:
    """Return what was entered, by key. The required secrets of a `new` connection are asked for,
    even when no option names them.
    """
    given = read_pairs(sets) | ({} if region is None else {"region": region})
    by_key = {one.key: one for one in destination.fields}
    for key in given.keys() & set(destination.secret_keys):
        raise typer.BadParameter(f"{key} is a secret: give --secret {key}", param_hint="--set")
    for key in secrets or ():
        if key not in destination.secret_keys:
            known = ", ".join(destination.secret_keys) or "none"
            raise typer.BadParameter(f"{key} is not a secret; there is {known}")
        given[key] = _read_secret(by_key[key], from_input=True)
    if api_key is not None:
        if len(destination.secret_keys) != 1:
            only = f"{destination.label} has no single secret: give --secret KEY"
            raise typer.BadParameter(only)
        given[destination.secret_keys[0]] = _read_api_key(api_key)
    for one in destination.fields if new else ():
        if one.secret and one.required and one.key not in given and _is_entered(one, given, by_key):
            given[one.key] = _read_secret(one, from_input=False)
    return given


def _is_entered(field: Field, given: dict[str, str], by_key: dict[str, Field]) -> bool:
    if field.only_with is None:
        return True
    other, values = field.only_with
    return (given.get(other) or by_key[other].default) in values


def _read_secret(field: Field, *, from_input: bool) -> str:
    names = (f"EMITONCE_SECRET_{field.key.upper()}", _ENVIRONMENT.get(field.key, ""))
    found = next((os.environ[name] for name in names if os.environ.get(name)), None)
    if found is not None:
        return found
    if sys.stdin.isatty():
        asked: str = typer.prompt(field.label, hide_input=True, err=True)
        return asked
    if not from_input:
        raise typer.BadParameter(f"give --secret {field.key}, and the value on standard input")
    return sys.stdin.readline().rstrip("\n")


def _read_api_key(given: str) -> str:
    if given == "-":
        return sys.stdin.readline().rstrip("\n")
    if given not in (US_KEY, EU_KEY):
        Settings().forbid_in_production(
            "--api-key with the key itself, which every user of the machine can read in the "
            "list of processes",
            "give --api-key - and the key on standard input",
        )
        say(
            "other users can read a key in a command line; --api-key - reads it from standard input"
        )
    return given
