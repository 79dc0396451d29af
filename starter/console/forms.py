"""Read a form, URL-encoded and of bounded size."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

from starter.api.bodies import LARGEST_BODY, read_bytes
from starter.api.errors import ApiError

MOST_FIELDS = 8_000


class Form(dict[str, str]):
    """Fields by name. Line ends are `\\n`, as they were typed.

    A checkbox is in it when it is ticked, a button when it was the one pressed.
    """

    def text(self, name: str, default: str = "") -> str:
        """Return a field without spaces around it."""
        return self.get(name, default).strip()


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
    # Of a name that is sent twice, the first counts.
    return Form((name, value.replace("\r\n", "\n")) for name, value in reversed(fields))
