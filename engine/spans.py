"""Spans around requests, beside those that the Temporal SDK makes. Nothing without a collector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode


@dataclass(frozen=True)
class RequestSpan:
    """One request that the API answers."""

    span: Span
    method: str

    def answered(self, route: str, status: int) -> None:
        """Record the answer. `route` is the template, since the path may hold personal data."""
        self.span.update_name(f"{self.method} {route}")
        self.span.set_attributes({"http.route": route, "http.response.status_code": status})
        if status >= 500:
            self.span.set_status(Status(StatusCode.ERROR))


@contextmanager
def request_span(method: str, headers: Mapping[str, str]) -> Iterator[RequestSpan]:
    """Open a span, in the caller's trace if its headers name one (W3C trace context)."""
    with trace.get_tracer("emitonce.api").start_as_current_span(
        method,
        context=propagate.extract(headers),
        kind=SpanKind.SERVER,
        attributes={"http.request.method": method},
        record_exception=False,  # its text may repeat what it failed on
    ) as span:
        yield RequestSpan(span, method)
