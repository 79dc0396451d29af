"""Temporal itself: connecting, converting data, namespace, search attributes, telemetry."""
