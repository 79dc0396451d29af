"""One process's keys: told to the others, checked, and the one used that is in use everywhere."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Protocol

from catalog.changes import EVERY_WORKSPACE, Changes
from catalog.encryption.keys_in_use import (
    KEYS_IN_USE,
    KINDS,
    SETTING,
    Holder,
    KeyInUse,
    KeyUse,
    Kind,
)
from catalog.errors import CatalogError, CatalogUnavailable

BEAT_SECONDS = 10.0

# An event is under way for 72 hours at most and kept for 30 days more; a day is for slow clocks.
PAYLOAD_KEY_NEEDED = timedelta(days=34)

log = logging.getLogger(__name__)


class Ring(Protocol):
    """The keys of one kind; both the catalog's cipher and the payloads' ring are one."""

    @property
    def check_values(self) -> Mapping[str, str]: ...

    @property
    def current(self) -> str | None: ...

    def use(self, key_id: str) -> None: ...


class WrongKeys(CatalogError):
    """This process lacks a key that is in use, or has another of the same id."""


class KeyWatch:
    """Asks for changes as they are announced, and every 10 seconds in any case."""

    def __init__(
        self, key_use: KeyUse, changes: Changes, rings: Mapping[Kind, Ring], *, role: str
    ) -> None:
        """`role` names the process to people: `worker`, `api`. `kept` needs rings of both kinds."""
        self._key_use = key_use
        self._rings = rings
        self._role = role
        self._process = uuid.uuid4()
        self._changed = asyncio.Event()
        changes.subscribe(self._on_change)

    async def settle(self) -> dict[Kind, list[KeyInUse]]:
        """Check the rings against what is in use, and encrypt with that; returns what is in use.

        Raises:
            WrongKeys: see there.
            CatalogUnavailable: the database is away.
        """
        found: dict[Kind, list[KeyInUse]] = {}
        for kind, ring in self._rings.items():
            found[kind] = await self._key_use.in_use(kind)
            stored = await self._key_use.credentials_by_key() if kind == "credential" else {}
            for key in found[kind]:
                if key_needed(key, found[kind], stored):
                    _check(ring, key)
            # A ring that encrypts nothing, in development, stays so.
            if found[kind] and ring.current not in (None, found[kind][0].key_id):
                ring.use(found[kind][0].key_id)
        return found

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[KeyWatch]:
        """Report this process for as long as it runs.

        Raises:
            WrongKeys, CatalogUnavailable: at the start.
        """
        await self._report()
        task: asyncio.Task[None] | None = None
        try:
            await self.settle()
            await self._report()
            task = asyncio.create_task(self._keep(), name="key watch")
            yield self
        finally:
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            with contextlib.suppress(CatalogUnavailable):
                await self._key_use.leave(self._process)

    async def _keep(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT_SECONDS):
                    await self._changed.wait()
            self._changed.clear()
            try:
                await self.settle()
                await self._report()
            except CatalogUnavailable as err:
                log.warning("can't see which keys are in use: %s", err)
            except WrongKeys as err:
                log.error("%s", err)
            except Exception:  # whatever it was: a process that isn't heard of isn't waited for
                log.exception("can't see which keys are in use")

    async def _report(self) -> None:
        holder = Holder(
            process=self._process,
            role=self._role,
            host=socket.gethostname(),
            pid=os.getpid(),
            keys={kind: self._rings[kind].check_values for kind in KINDS},
            sealing={kind: self._rings[kind].current for kind in KINDS},
        )
        await self._key_use.report(holder, first=holder.sealing)

    def _on_change(self, what: str) -> None:
        if what in (KEYS_IN_USE, EVERY_WORKSPACE):
            self._changed.set()


def key_needed(key: KeyInUse, used: Sequence[KeyInUse], stored: Mapping[str, int]) -> bool:
    """Whether something is, or may be, encrypted with it.

    `used` are all of its kind, newest first; `stored` counts credentials by key.
    """
    place = used.index(key)
    if place == 0:
        return True
    if key.kind == "credential":
        return key.key_id in stored
    return datetime.now(UTC) < used[place - 1].since + PAYLOAD_KEY_NEEDED


def _check(ring: Ring, key: KeyInUse) -> None:
    held = ring.check_values.get(key.key_id)
    if held is None:
        raise WrongKeys(
            f"this process lacks the {key.kind} key {key.key_id!r}, which has been in use since "
            f"{key.since:%Y-%m-%d %H:%M} UTC: add it to {SETTING[key.kind]}"
        )
    if held != key.check_value:
        raise WrongKeys(
            f"{SETTING[key.kind]}: the key {key.key_id!r} is another than the one in use by that "
            "id: give this process the same, or give the new one an id of its own"
        )
