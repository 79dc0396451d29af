"""Payloads as commands accept them: a file, standard input, or JSON on the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from delivery.errors import InvalidEvent
from delivery.strict_json import parse


def read_payload(given: str) -> dict[str, Any]:
    """Return the payload, a JSON object.

    Raises:
        typer.BadParameter: it can't be read, or isn't one.
    """
    return read_object(_bytes(given))


def read_object(text: str | bytes) -> dict[str, Any]:
    try:
        value = parse(text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text)
    except InvalidEvent as err:
        raise typer.BadParameter(err.reason) from None
    if not isinstance(value, dict):
        raise typer.BadParameter("must be one JSON object")
    return value


def _bytes(given: str) -> bytes:
    if not given.strip():
        raise typer.BadParameter("is empty; a payload without keys is {}")
    if given == "-":
        return sys.stdin.buffer.read()
    if given.lstrip().startswith(("{", "[")):
        return given.encode("utf-8", "surrogateescape")
    try:
        return Path(given).read_bytes()
    except OSError as err:
        raise typer.BadParameter(f"{given}: {err.strerror or 'cannot be read'}") from None


PayloadFile = Annotated[
    dict[str, Any],
    typer.Option(
        "--payload",
        parser=read_payload,
        metavar="FILE|JSON",
        help="A JSON file, - for standard input, or the JSON object itself.",
    ),
]
