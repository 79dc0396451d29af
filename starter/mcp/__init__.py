"""A server of the Model Context Protocol: an assistant's tools, which call the HTTP API.

The official SDK is an extra, and is imported only where it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fastapi import FastAPI

from settings import SettingsError


@contextmanager
def needing_sdk() -> Iterator[None]:
    """Import inside what needs the SDK. Raises `SettingsError` if it isn't installed."""
    try:
        yield
    except ModuleNotFoundError as err:
        if err.name != "mcp":
            raise
        raise SettingsError("the package mcp is not installed: make setup-mcp") from None


def over_http(wanted: bool) -> Callable[[FastAPI], None] | None:
    """Return what adds the tools to the API, if they are wanted. Raises `SettingsError`."""
    if not wanted:
        return None
    with needing_sdk():
        from starter.mcp.http import add_tools
    return add_tools
