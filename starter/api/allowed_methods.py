"""Which methods a path knows: all of them, where the framework names those of one route."""

from __future__ import annotations

from typing import Any

from starlette.routing import compile_path


class AllowedMethods:
    """Of the paths of an OpenAPI document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._paths = [
            (compile_path(path)[0], sorted(method.upper() for method in operations))
            for path, operations in document["paths"].items()
        ]

    def of(self, path: str) -> str | None:
        """As the header `Allow` has it; None for a path that the document doesn't know."""
        for pattern, methods in self._paths:
            if pattern.match(path):
                return ", ".join(methods)
        return None
