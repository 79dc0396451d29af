"""Clients of the tests' Temporal server that encrypt, each with keys of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import pytest_asyncio
from temporalio.client import Client

from emitonce.key_ring import KeyRing
from engine.connect import connect
from tests.integration.stack import Stack, open_stack

OLD_KEY, NEW_KEY = {"k1": b"o" * 32}, {"k2": b"n" * 32}


async def sealing_client(temporal: Client, keys: Mapping[str, bytes]) -> Client:
    """A further client of the same server; without `keys` it is one that lacks them."""
    return await connect(temporal.service_client.config.target_host, keys=KeyRing(keys))


def ring_of(client: Client) -> KeyRing:
    return client.data_converter.payload_codec.ring  # type: ignore[union-attr]


@pytest_asyncio.fixture
async def sealed(temporal: Client, database: str) -> AsyncIterator[Stack]:
    """As `stack`, but encrypted with the old key; no worker yet."""
    client = await sealing_client(temporal, OLD_KEY)
    async with open_stack(client, database, working=False) as stack:
        yield stack
