"""Links into the Temporal Web UI."""

from __future__ import annotations

from urllib.parse import quote

from temporalio.client import Client


def run_url(ui_url: str | None, client: Client, event_id: str) -> str | None:
    """The page of an event's latest run; None where nobody has said where the Web UI is."""
    if ui_url is None:
        return None
    namespace = quote(client.namespace, safe="")
    return f"{ui_url.rstrip('/')}/namespaces/{namespace}/workflows/{quote(event_id, safe='')}"
