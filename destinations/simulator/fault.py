"""Faults on demand."""

from __future__ import annotations

import base64
import re
import time
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

_NAME = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
_VALUE = re.compile(r"(?:[!-~\xa0-\xff](?:[ \t!-~\xa0-\xff]*[!-~\xa0-\xff])?)?")


class Fault(BaseModel):
    """One fault. Times are in seconds.

    | kind                 | what the client sees                                            |
    | -------------------- | --------------------------------------------------------------- |
    | answer               | an answer, changed by `status`, `headers`, `body`, …            |
    | reset_before_headers | the connection is reset, nothing was stored                     |
    | reset_after_store    | the connection is reset, but the call was stored                |
    | stall                | nothing at all, until it gives up                               |
    | slow_drip            | the answer byte by byte, from its status line or from its body  |
    | raw                  | `raw_base64` as it is, then the end: HTTP, broken HTTP, or none |
    | half_close           | as `raw`, but our end is kept open for reading until it leaves  |
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal[
        "answer",
        "reset_before_headers",
        "reset_after_store",
        "stall",
        "slow_drip",
        "raw",
        "half_close",
    ] = "answer"
    status: int | None = Field(default=None, ge=200, le=599)
    headers: dict[str, str] = {}
    body: str | None = None
    # A meaningless body of this size.
    body_bytes: int | None = Field(default=None, ge=0, le=16_000_000)
    raw_base64: str | None = None
    # A body that quotes the request, including personal data.
    echo: bool = False
    delay: float = Field(default=0, ge=0, le=3_600)
    drip_seconds: float = Field(default=0.05, ge=0, le=60)
    drip_from: Literal["head", "body"] = "head"
    # When the call takes effect: before the client sees anything, or after it has seen all or given
    # up, or never. Absent: as the kind and the status suggest.
    store: Literal["no", "first", "late"] | None = None

    @field_validator("headers")
    @classmethod
    def _sendable(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
                raise ValueError(f"{name!r} and its value can't be sent as a header")
        return headers

    @field_validator("raw_base64")
    @classmethod
    def _decodable(cls, raw: str | None) -> str | None:
        base64.b64decode(raw or "", validate=True)
        return raw

    @property
    def raw(self) -> bytes:
        return base64.b64decode(self.raw_base64 or "")

    @property
    def stores(self) -> Literal["no", "first", "late"]:
        if self.store is not None:
            return self.store
        if self.kind == "reset_after_store":
            return "first"
        if self.kind in ("reset_before_headers", "stall", "raw", "half_close"):
            return "no"
        return "first" if self.status is None or self.status < 300 else "no"


class FaultRule(BaseModel):
    """When a fault happens: for which calls, and for which of these, counted since it was set.

    `path` is a call that the simulator knows, or `*`; `region` one of its regions; `key` what the
    request is authorized by.

    `nth` are the numbers of calls, from 1; `times` is how many calls, from the first; `seconds` is
    for how long.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = "*"
    fault: Fault
    times: int | None = Field(default=None, ge=1)
    seconds: float | None = Field(default=None, gt=0)
    nth: tuple[int, ...] | None = None
    region: str | None = None
    key: str | None = None

    def concerns(self, call: str, region: str, key: str | None) -> bool:
        return (
            self.path in ("*", call) and self.region in (None, region) and self.key in (None, key)
        )

    def due(self, number: int, seconds: float) -> bool:
        """Say whether it happens at this call, so many seconds after it was set."""
        if self.nth is not None and number not in self.nth:
            return False
        if self.seconds is not None and seconds >= self.seconds:
            return False
        return self.times is None or number <= self.times


class FaultPlan:
    """All rules that are set. If several are due, the fault of the first one happens."""

    def __init__(self) -> None:
        self._rules: list[FaultRule] = []
        self._set_at: list[float] = []
        self._counts: list[int] = []

    def add(self, rule: FaultRule) -> None:
        self._rules.append(rule)
        self._set_at.append(time.monotonic())
        self._counts.append(0)

    def clear(self) -> None:
        self._rules.clear()
        self._set_at.clear()
        self._counts.clear()

    def take(self, call: str, region: str, key: str | None) -> Fault | None:
        """Count this call, and return its fault."""
        taken: Fault | None = None
        for index, rule in enumerate(self._rules):
            if not rule.concerns(call, region, key):
                continue
            self._counts[index] += 1
            age = time.monotonic() - self._set_at[index]
            if taken is None and rule.due(self._counts[index], age):
                taken = rule.fault
        return taken
