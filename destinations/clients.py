"""Make the clients of all destinations: the half of the registry that is not pure."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from destinations.destination import Client, Destination
from destinations.http.exchange import Http
from destinations.registry import BY_TYPE


def make_clients(
    http: Http,
    base_urls: Mapping[str, Mapping[str, str]],
    *,
    agent: str,
) -> dict[str, Client]:
    """Make a client for each type. `base_urls`, by type and region, replace the vendors' own.

    Raises:
        ValueError: a base URL is not valid, or its type or region is unknown.
    """
    for type in base_urls.keys() - BY_TYPE.keys():
        raise ValueError(f"EMITONCE_BASE_URLS: there is no destination type {type!r}")
    return {
        type: class_of(destination)(http, base_urls.get(type, {}), agent=agent)
        for type, destination in BY_TYPE.items()
    }


def class_of(destination: Destination) -> Any:
    module, name = destination.client.split(":")
    return getattr(import_module(module), name)
