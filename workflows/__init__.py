"""Deterministic code only: what happens to an event, step by step."""
