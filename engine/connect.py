"""Connect to Temporal, by its standard environment variables, within a limited time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError

from emitonce.address import compression
from emitonce.at_exit import leave_in_order
from emitonce.key_ring import KeyRing
from engine.data_converter import data_converter

DEFAULT_ADDRESS = "localhost:7233"
OLDEST_SERVER = (1, 32)  # with which this is tested


class TemporalUnreachable(RuntimeError):
    """No Temporal server answered in time; the message names the address and the setting."""


async def connect(
    address: str | None = None,
    *,
    namespace: str | None = None,
    timeout_seconds: float = 30,
    keys: KeyRing | None = None,
    **options: Any,
) -> Client:
    """Connect, trying again until `timeout_seconds` have passed.

    `address` and `namespace` override `TEMPORAL_ADDRESS` and `TEMPORAL_NAMESPACE`. With `keys`,
    what is stored is encrypted; without them, it is readable.

    Raises:
        TemporalUnreachable: nobody answered.
    """
    config: dict[str, Any] = dict(ClientConfig.load_client_connect_config())
    if address:
        config["target_host"] = address
    if namespace:
        config["namespace"] = namespace
    config.setdefault("target_host", DEFAULT_ADDRESS)
    config.setdefault("data_converter", data_converter(keys))
    config.update(compression(config["target_host"]))
    config.update(options)
    leave_in_order()
    return await _connect_within(timeout_seconds, config)


async def _connect_within(timeout_seconds: float, config: Mapping[str, Any]) -> Client:
    deadline = time.monotonic() + timeout_seconds
    pause = 0.1
    while True:
        try:
            return await Client.connect(**config)
        except (RuntimeError, RPCError) as err:
            if time.monotonic() + pause > deadline:
                raise TemporalUnreachable(
                    f"no Temporal server answers at {config['target_host']} "
                    f"(set TEMPORAL_ADDRESS, or start one with `emitonce dev`): {err}"
                ) from err
        await asyncio.sleep(pause)
        pause = min(pause * 2, 2.0)
