"""Keep a running process to the keys in use: report its own, and encrypt with those all have."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from temporalio.client import Client

from catalog import Catalog
from catalog.changes import EVERY_WORKSPACE
from catalog.encryption.keys_in_use import KEYS_IN_USE, Rings, WrongKeys
from catalog.errors import CatalogUnavailable
from emitonce.codec import EncryptionCodec
from emitonce.published_keys import publish_keys
from operations.background import in_background

BEAT_SECONDS = 10.0

log = logging.getLogger(__name__)


@asynccontextmanager
async def watched_keys(
    client: Client, catalog: Catalog, task_queue: str, *, role: str
) -> AsyncIterator[None]:
    """Report the keys of `client` and `catalog` while this process runs; follow what is in use.

    `role` names the process to people: `worker`, `api`.

    Raises:
        WrongKeys, CatalogUnavailable: at the start.
    """
    codec = client.data_converter.payload_codec
    assert isinstance(codec, EncryptionCodec)  # `connect` installs it
    rings: Rings = {"credential": catalog.cipher.ring, "payload": codec.ring}
    process, changed = uuid.uuid4(), asyncio.Event()

    def on_change(what: str) -> None:
        if what in (KEYS_IN_USE, EVERY_WORKSPACE):
            changed.set()

    async def follow() -> None:
        await catalog.keys_in_use.settle(rings)
        await catalog.keys_in_use.report(process, role, rings)

    catalog.changes.subscribe(on_change)
    await catalog.keys_in_use.report(process, role, rings)
    try:
        await follow()
        await publish_payload_keys(client, catalog, task_queue)
        async with in_background(_keep(follow, changed), name="key watch"):
            yield
    finally:
        with contextlib.suppress(CatalogUnavailable):
            await catalog.keys_in_use.leave(process)


async def publish_payload_keys(client: Client, catalog: Catalog, task_queue: str) -> None:
    """Write the payload keys in use to the namespace, for emitters that have no catalog."""
    used = [(key.key_id, key.check_value) for key in await catalog.keys_in_use.of("payload")]
    if not await publish_keys(client, task_queue, used):
        log.warning("the namespace can't be changed: emitters can't see which keys are in use")


async def _keep(follow: Callable[[], Awaitable[None]], changed: asyncio.Event) -> None:
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BEAT_SECONDS):
                await changed.wait()
        changed.clear()
        try:
            await follow()
        except CatalogUnavailable as err:
            log.warning("can't see which keys are in use: %s", err)
        except WrongKeys as err:
            log.error("%s", err)
        except Exception:  # after any error: others don't wait for it
            log.exception("can't see which keys are in use")
