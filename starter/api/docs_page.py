"""The reference as one page of plain HTML: no script, nothing fetched from anywhere."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from typing import Any

JsonObject = dict[str, Any]

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

# Its own style sheet, known by its hash, and nothing else.
DOCS_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'"
}


def docs_page(document: JsonObject) -> str:
    """The page for an OpenAPI document whose operations have examples."""
    groups: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            shown = _operation(method.upper(), path, operation)
            groups.setdefault(operation["tags"][0], []).append(shown)
    body = "".join(
        f'<h2 id="{escape(tag)}">{escape(tag)}</h2>{"".join(shown)}'
        for tag, shown in groups.items()
    )
    links = " · ".join(f'<a href="#{escape(tag)}">{escape(tag)}</a>' for tag in groups)
    title = escape(document["info"]["title"])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}: HTTP API</title><style>{STYLE}</style></head><body>"
        f"<h1>{title}: HTTP API</h1>{_text(document['info']['description'])}"
        '<p>For programs: <a href="/openapi.json">/openapi.json</a> (OpenAPI '
        f"{escape(document['openapi'])}).</p><p>{links}</p>"
        f"<h2>Keys</h2>{_schemes(document['components']['securitySchemes'])}{body}</body></html>"
    )


def _schemes(schemes: JsonObject) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td>"
        f"<td>{_inline(scheme.get('description', ''))}</td></tr>"
        for name, scheme in schemes.items()
    )
    return f"<table>{rows}</table>"


def _operation(method: str, path: str, operation: JsonObject) -> str:
    parts = [
        _text(operation.get("description", "")),
        _security(operation),
        _parameters(operation.get("parameters", [])),
        _request(operation.get("requestBody")),
        _answers(operation["responses"]),
    ]
    return (
        f'<details id="{escape(operation["operationId"])}"><summary>'
        f'<span class="method">{method}</span> <code>{escape(path)}</code> '
        f"{_inline(operation['summary'])}</summary><div>{''.join(parts)}</div></details>"
    )


def _security(operation: JsonObject) -> str:
    names = [name for needed in operation.get("security", []) for name in needed]
    if not names:
        return "<p>Needs no key.</p>"
    return f"<p>Key: {' or '.join(f'<code>{escape(name)}</code>' for name in names)}</p>"


def _parameters(parameters: list[JsonObject]) -> str:
    if not parameters:
        return ""
    rows = "".join(
        f"<tr><td><code>{escape(found['name'])}</code></td><td>{escape(found['in'])}</td>"
        f"<td>{_inline(found.get('description', ''))}</td></tr>"
        for found in parameters
    )
    return f"<table><tr><th>Parameter</th><th>In</th><th></th></tr>{rows}</table>"


def _request(body: JsonObject | None) -> str:
    if body is None:
        return ""
    needed = "" if body["required"] else " (may be left out)"
    return f"<p>Body{needed}, for example:</p>{_json(_example(body['content']))}"


def _answers(responses: JsonObject) -> str:
    shown = []
    for status, response in responses.items():
        example = _example(response.get("content", {}))
        if example is not None:
            shown.append(f"<p>Answers <code>{status}</code>, for example:</p>{_json(example)}")
    others = ", ".join(
        f"{escape(status)} {escape(response['description'])}"
        for status, response in responses.items()
        if _example(response.get("content", {})) is None
    )
    return "".join(shown) + (f"<p>Or: {others}.</p>" if others else "")


def _example(content: JsonObject) -> Any:
    return content.get("application/json", {}).get("example")


def _json(value: Any) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2, ensure_ascii=False))}</pre>"


def _text(text: str) -> str:
    return "".join(f"<p>{_inline(part)}</p>" for part in text.strip().split("\n\n") if part)


def _inline(text: str) -> str:
    """Text in which `backticks` mark code."""
    pieces = escape(text).split("`")
    return "".join(
        f"<code>{piece}</code>" if index % 2 else piece for index, piece in enumerate(pieces)
    )
