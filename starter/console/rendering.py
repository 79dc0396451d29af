"""The templates of pages, and the files that pages refer to."""

from __future__ import annotations

import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from starter.console import timeline, words
from starter.console.session import token_of
from starter.console.zone import in_utc

FOLDER = Path(__file__).parent
ASSETS = {
    "console.css": "text/css; charset=utf-8",
    "embed.js": "text/javascript; charset=utf-8",
    "embed-host.js": "text/javascript; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
    "mark.svg": "image/svg+xml",
    "zone.js": "text/javascript; charset=utf-8",
}


def read_assets() -> dict[str, bytes]:
    return {name: (FOLDER / "static" / name).read_bytes() for name in ASSETS}


def read_templates(assets: dict[str, bytes]) -> Environment:
    """Templates escape everything they show. Addresses of assets change with their content."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= words.FILTERS | timeline.FILTERS | {"form_token": token_of}
    environment.globals["in_utc"] = in_utc
    environment.globals["asset"] = {
        name: f"/assets/{hashlib.sha256(data).hexdigest()[:12]}/{name}"
        for name, data in assets.items()
    }
    return environment
