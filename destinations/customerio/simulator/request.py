"""One request as it was received, and its effect."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from pydantic import JsonValue

from destinations.customerio.simulator.fault import Fault
from destinations.customerio.simulator.wire import MAX_REQUEST_BYTES

_GZIP = 16 + zlib.MAX_WBITS


@dataclass(eq=False)
class Request:
    """A request. `status` is None until it is answered, for ever if it never is.

    `received` and `answered` are seconds of the monotonic clock; header names are in lower case.
    """

    seq: int
    region: str
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    raw: bytes
    received: float
    received_at: datetime
    fault: Fault | None = None
    status: int | None = None
    answered: float | None = None
    stored: bool = False

    @property
    def call(self) -> str:
        """`identify` of `/v1/identify`."""
        return self.path.rpartition("/")[2]

    @property
    def key(self) -> str | None:
        """The user name of Basic authentication with an empty password; None for anything else."""
        scheme, _, encoded = (self.header("authorization") or "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            text = base64.b64decode(encoded.strip(), validate=True).decode()
        except ValueError:
            return None
        user, colon, password = text.partition(":")
        return user if user and colon and not password else None

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key == name.lower()]
        return ", ".join(values) if values else None

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
            "method": self.method,
            "path": self.path,
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
