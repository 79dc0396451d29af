"""Render the API reference as one page of plain HTML that has no script and fetches nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache, partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup, escape

STYLE = """
:root { color-scheme: light dark; --line: #8883; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 0 auto; padding: 1rem; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
details { border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0; }
summary { padding: .5rem .75rem; cursor: pointer; }
summary code { font-weight: 600; }
details > div { padding: 0 .75rem .75rem; }
pre { background: var(--soft); padding: .75rem; overflow-x: auto; border-radius: 6px; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .25rem .5rem .25rem 0; }
tr { border-bottom: 1px solid var(--line); }
.method { display: inline-block; min-width: 4rem; font: 600 13px ui-monospace, monospace; }
"""

# Allow the page's own style sheet, by its hash, and nothing else.
DOCS_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'"
}


def docs_page(document: dict[str, Any]) -> str:
    """Render the page for an OpenAPI document whose operations have examples."""
    return _environment().get_template("docs.html").render(document, style=STYLE)


@cache
def _environment() -> Environment:
    """Return the templates, which are compiled on the first call."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
    )
    environment.filters |= {
        "code": _code,
        "json": partial(json.dumps, indent=2, ensure_ascii=False),
    }
    return environment


def _code(text: str) -> Markup:
    """Turn text, in which `backticks` mark code, into markup."""
    return Markup(re.sub("`([^`]*)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704  escaped before
