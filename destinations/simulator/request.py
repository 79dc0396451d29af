"""One request as it was received, and its effect."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from pydantic import JsonValue

from destinations.simulator.fault import Fault
from destinations.simulator.wire import MAX_REQUEST_BYTES

_GZIP = 16 + zlib.MAX_WBITS


@dataclass(eq=False)
class Request:
    """`call` is what the simulator calls it, `key` what it is authorized by. `status` is None until
    it was answered, and stays so where it never was.

    `received` and `answered` are seconds of the monotonic clock; header names are in lower case.
    """

    seq: int
    region: str
    method: str
    path: str
    query: dict[str, str]
    headers: tuple[tuple[str, str], ...]
    raw: bytes
    received: float
    received_at: datetime
    call: str = ""
    key: str | None = None
    fault: Fault | None = None
    status: int | None = None
    answered: float | None = None
    stored: bool = False

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key == name.lower()]
        return ", ".join(values) if values else None

    @property
    def bearer(self) -> str | None:
        """The token that it is authorized by, if any."""
        scheme, _, token = (self.header("authorization") or "").partition(" ")
        return token if scheme == "Bearer" and token else None

    @property
    def basic(self) -> tuple[str, str] | None:
        """The user and password that it is authorized by, if any."""
        scheme, _, encoded = (self.header("authorization") or "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            text = base64.b64decode(encoded.strip(), validate=True).decode()
        except ValueError:
            return None
        user, colon, password = text.partition(":")
        return (user, password) if colon else None

    @cached_property
    def content(self) -> bytes:
        """The body, unpacked if it is valid gzip, up to `MAX_REQUEST_BYTES`."""
        if self.header("content-encoding") != "gzip":
            return self.raw
        try:
            return zlib.decompressobj(_GZIP).decompress(self.raw, MAX_REQUEST_BYTES)
        except zlib.error:
            return self.raw

    @cached_property
    def parsed(self) -> JsonValue:
        """The body as JSON; None when it isn't."""
        try:
            value: JsonValue = json.loads(self.content)
        except (ValueError, RecursionError):
            return None
        return value

    @property
    def body(self) -> dict[str, JsonValue]:
        """The body as a JSON object; empty when it isn't one."""
        return self.parsed if isinstance(self.parsed, dict) else {}

    def as_json(self) -> dict[str, JsonValue]:
        return {
            "seq": self.seq,
            "region": self.region,
            "call": self.call,
            "method": self.method,
            "path": self.path,
            "query": dict(self.query),
            "headers": [[name, value] for name, value in self.headers],
            "body": self.parsed,
            "raw_base64": base64.b64encode(self.raw).decode(),
            "received": self.received,
            "received_at": self.received_at.isoformat(),
            "fault": self.fault.model_dump(mode="json", exclude_defaults=True)
            if self.fault
            else None,
            "status": self.status,
            "answered": self.answered,
            "stored": self.stored,
        }
