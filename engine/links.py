"""Links into the Temporal Web UI."""

from __future__ import annotations

from urllib.parse import quote

from temporalio.client import Client


def run_url(ui_url: str | None, client: Client, event_id: str) -> str | None:
    """Return the page of an event's latest run; None if the address of the Web UI isn't set."""
    if ui_url is None:
        return None
    namespace = quote(client.namespace, safe="")
    return f"{ui_url.rstrip('/')}/namespaces/{namespace}/workflows/{quote(event_id, safe='')}"
