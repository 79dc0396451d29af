"""What a form sends: URL-encoded and bounded."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

from starter.api.bodies import LARGEST_BODY, read_bytes
from starter.api.errors import ApiError

MOST_FIELDS = 8_000


class Form:
    """Fields by name. Line ends are `\\n`, as they were typed."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self._fields: dict[str, str] = {}
        for name, value in fields:
            self._fields.setdefault(name, value)

    def text(self, name: str, default: str = "") -> str:
        """Without blanks around it."""
        return self._fields.get(name, default).strip()

    def raw(self, name: str, default: str = "") -> str:
        return self._fields.get(name, default)

    def optional(self, name: str) -> str | None:
        """None for what is blank or absent."""
        return self.text(name) or None

    def has(self, name: str) -> bool:
        """Whether it was sent: of a checkbox, whether it is ticked; of a button, whether it was
        the one pressed."""
        return name in self._fields

    def names(self) -> list[str]:
        return list(self._fields)


async def read_form(request: Request, limit: int = LARGEST_BODY) -> Form:
    """Raises `ApiError` 400 or 413."""
    data = await read_bytes(request, limit)
    try:
        fields = parse_qsl(
            data.decode(),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=MOST_FIELDS,
        )
    except ValueError:
        raise ApiError(
            400, "the form can't be read: go back, reload the page, send it again"
        ) from None
    return Form([(name, value.replace("\r\n", "\n")) for name, value in fields])
