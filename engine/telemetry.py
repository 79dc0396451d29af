"""The process's telemetry: metrics for Prometheus to fetch, traces to an OpenTelemetry collector.

Both are off unless they are set: metrics by `EMITONCE_METRICS_ADDRESS`, traces by OpenTelemetry's
own `OTEL_EXPORTER_OTLP_ENDPOINT` (or `…_TRACES_ENDPOINT`; `OTEL_SDK_DISABLED` and the other
variables of its specification apply too).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NoOpTracerProvider, set_tracer_provider
from opentelemetry.trace import TracerProvider as AnyTracerProvider
from temporalio.client import Interceptor
from temporalio.common import MetricMeter
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from engine.metric_names import BUCKETS


class TelemetryError(Exception):
    """Metrics can't be served at the address that was set; the message says why."""


@dataclass
class Telemetry:
    """What a process needs to make its Temporal client. `runtime` is None if metrics are off."""

    runtime: Runtime | None
    tracers: AnyTracerProvider = field(default_factory=NoOpTracerProvider)

    @property
    def meter(self) -> MetricMeter:
        return self.runtime.metric_meter if self.runtime else MetricMeter.noop

    @property
    def client_interceptors(self) -> Sequence[Interceptor]:
        """Return the client's interceptors, which workers made from the client inherit."""
        if isinstance(self.tracers, NoOpTracerProvider):
            return ()
        return (TracingInterceptor(self.tracers.get_tracer("emitonce")),)

    def close(self) -> None:
        """Send the remaining spans. Metrics end with the process."""
        if isinstance(self.tracers, TracerProvider):
            self.tracers.shutdown()


def open_telemetry(
    *, metrics_address: str | None, role: str, release: str = "unknown"
) -> Telemetry:
    """Open the telemetry of a process, before its first Temporal client is made.

    Raises:
        TelemetryError: the address is not valid, or another process listens there.
    """
    runtime = None
    if metrics_address:
        config = PrometheusConfig(
            bind_address=metrics_address,
            counters_total_suffix=True,
            unit_suffix=True,
            durations_as_seconds=True,
            histogram_bucket_overrides=BUCKETS,
        )
        try:
            runtime = Runtime(
                telemetry=TelemetryConfig(
                    metrics=config, global_tags={"role": role}, logging=_forwarded_logs()
                )
            )
        except ValueError as err:
            raise TelemetryError(
                f"EMITONCE_METRICS_ADDRESS={metrics_address}: metrics can't be served there "
                f"({err}); it must read host:port, and each process needs a port of its own"
            ) from None
    return Telemetry(runtime, _tracers(role, release))


def forward_core_logs() -> None:
    """Make the SDK's core log through Python's logging, to standard error.

    By default it writes to standard output, between the lines that a command prints. Call this once
    per process, before its first client.
    """
    Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=_forwarded_logs())))


def _forwarded_logs() -> LoggingConfig:
    return LoggingConfig(
        filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
        forwarding=LogForwardingConfig(logger=logging.getLogger("temporalio.core")),
    )


def _tracers(role: str, release: str) -> AnyTracerProvider:
    wanted = any(
        os.environ.get(name)
        for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    )
    if not wanted or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return NoOpTracerProvider()
    # Imported only here, since it imports an HTTP client.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    described = {"service.name": f"emitonce-{role}", "service.version": release}
    provider = TracerProvider(resource=Resource.create(described))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    # Our own spans use OpenTelemetry's API, which knows one provider per process.
    set_tracer_provider(provider)
    return provider
