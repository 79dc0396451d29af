"""Read request bodies: bounded, strict JSON, then typed. Each error names the field at fault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

from pydantic import BaseModel, JsonValue, ValidationError
from starlette.requests import Request

from delivery import errors as domain
from delivery.size import holds_more_values
from delivery.strict_json import parse, without_escapes
from delivery.text import kind
from delivery.validation import problem
from starter.api.errors import ApiError, Fault, bad_request, too_large

LARGEST_BODY = 1024 * 1024
MOST_VALUES = 20_000
# Others wait while a larger one is parsed, so that is done in a thread.
LARGEST_ON_THE_LOOP = 64 * 1024

# A client that is cut off while it sends sees a broken connection, not the reason. So the rest of
# a body that is too large is read and discarded, up to these limits.
DRAINED_BYTES = 16 * LARGEST_BODY
DRAIN_SECONDS = 5.0

MOST_FAULTS = 20

Model = TypeVar("Model", bound=BaseModel)


async def read_model(request: Request, model: type[Model]) -> Model:
    """Read the body as `model`; an absent body counts as `{}`.

    Raises:
        ApiError: 400 or 413.
    """
    data = await read_bytes(request)
    return as_model(await parse_body(data) if data.strip() else {}, model)


async def parse_body(data: bytes, most_values: int = MOST_VALUES) -> JsonValue:
    """Parse JSON strictly. Its values are counted before anything is parsed.

    Raises:
        ApiError: 400; 413 for more than `most_values` JSON values.
    """
    if holds_more_values(data, most_values):
        raise too_large("body", f"holds more than {most_values:,} JSON values; send fewer")
    if len(data) > LARGEST_ON_THE_LOOP:
        return await asyncio.to_thread(parse_json, data)
    return parse_json(data)


async def read_bytes(request: Request, limit: int = LARGEST_BODY) -> bytes:
    """Read the body. Raises `ApiError` 413 if it has more than `limit` bytes."""
    announced = request.headers.get("content-length", "")
    chunks, size = [], 0
    stream = request.stream()
    if announced.isdecimal() and int(announced) > limit:
        await _drain(stream)
        raise _too_large(limit)
    async for chunk in stream:
        size += len(chunk)
        if size > limit:
            await _drain(stream)
            raise _too_large(limit)
        chunks.append(chunk)
    return b"".join(chunks)


def parse_json(data: bytes) -> JsonValue:
    """Parse JSON strictly. Raises `ApiError` 400."""
    try:
        value = parse(data)
    except domain.InvalidEvent as err:
        raise bad_request("body", err.reason) from None
    if b"\\u0000" in without_escapes(data):
        raise bad_request("body", "holds a NUL character; remove it")
    return value


def as_model(value: JsonValue, model: type[Model]) -> Model:
    """Check `value` against `model`. Raises `ApiError` 400, which names every field at fault."""
    if not isinstance(value, dict):
        raise bad_request("body", f"must be a JSON object, not {kind(value)}")
    try:
        return model.model_validate(value)
    except ValidationError as err:
        faults = tuple(
            Fault(_path(found["loc"]), problem(found))
            for found in err.errors(include_url=False)[:MOST_FAULTS]
        )
        raise ApiError(400, f"{faults[0].param}: {faults[0].msg}", faults) from None


def _path(location: tuple[int | str, ...]) -> str:
    """Write where a field is, such as `metadata.region` or `schema.fields[0]`."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location]
    return "".join(parts).removeprefix(".") or "body"


async def _drain(stream: AsyncIterator[bytes]) -> None:
    size = 0
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            async for chunk in stream:
                size += len(chunk)
                if size > DRAINED_BYTES:
                    return
    except TimeoutError:
        return


def _too_large(limit: int) -> ApiError:
    return too_large("body", f"is larger than {limit:,} bytes; send less at a time")
