"""Temporal's runtime in a process that was forked from one that had used it.

Its threads stay in the parent, so the child needs a runtime of its own. The inherited one is kept:
taking it down would wait for threads that are not there.
"""

from __future__ import annotations

from typing import Any

from temporalio.client import Client
from temporalio.runtime import Runtime, TelemetryConfig

_inherited: list[Runtime] = []


async def connect_also_when_forked(**config: Any) -> Client:
    """`Client.connect`, with a runtime of this process's own where the default is another's."""
    try:
        return await Client.connect(**config)
    except AssertionError as err:
        if "across forks" not in str(err):
            raise
    _inherited.append(Runtime.default())
    Runtime.set_default(Runtime(telemetry=TelemetryConfig()), error_if_already_set=False)
    return await Client.connect(**config)
