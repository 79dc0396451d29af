"""Temporal's Web UI shows nothing of an event without the codec, and all of it with it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import html
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from emitonce.codec import EncryptionCodec
from emitonce.key_ring import KeyRing
from engine.connect import connect
from engine.search_attributes import register_search_attributes
from starter.api.codec import CodecAccess, ui_origins
from starter.dev.codec_server import listen, serve_codec
from starter.dev.temporal_server import DevServer
from tests.integration.stack import open_stack
from tests.security import markers
from tests.security.conftest import OLD_KEY

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
READABLE = {"e-mail", "user id", "trait", "nested trait"}


@asynccontextmanager
async def delivered_event(
    tmp_path: Path, database: str, codec_endpoint: str | None
) -> AsyncIterator[tuple[DevServer, str, str]]:
    """A server with its Web UI, an event's id, and the path of its page."""
    server = await DevServer.start(tmp_path, in_memory=True, codec_endpoint=codec_endpoint)
    try:
        client = await connect(server.address, keys=KeyRing(OLD_KEY))
        await register_search_attributes(client)
        async with open_stack(client, database) as stack:
            await stack.rule()
            handle = await stack.emit(payload=markers.PAYLOAD)
            await handle.result()
            described = await client.get_workflow_handle(handle.id).describe()
            page = f"/namespaces/default/workflows/{handle.id}/{described.run_id}/timeline"
            yield server, handle.id, page
    finally:
        await server.stop()


async def look_at(
    url: str, tmp_path: Path, name: str, until: Callable[[str], bool]
) -> tuple[str, Path]:
    """What the page holds, as HTML, and a picture of it.

    On a busy machine Chromium may look before the page has all that it asks for, so it looks again
    until it shows what `until` waits for, a few times.
    """
    picture = Path(os.environ.get("EMITONCE_SCREENSHOTS", tmp_path)) / f"{name}.png"
    for number in range(5):
        page = html.unescape(await _chromium(tmp_path / f"{name}-{number}", url, "--dump-dom"))
        if until(page):
            break
    await _chromium(tmp_path / f"{name}-picture", url, f"--screenshot={picture}")
    return page, picture


async def _chromium(user_data: Path, url: str, do: str) -> str:
    assert CHROMIUM is not None
    process = await asyncio.create_subprocess_exec(
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1400,1000",
        f"--user-data-dir={user_data}",
        "--virtual-time-budget=15000",
        do,
        url,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # its many processes end together
    )
    try:
        async with asyncio.timeout(60):
            out, _ = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return out.decode(errors="replace")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
@pytest.mark.timeout(240)
async def test_the_web_ui_is_readable_with_the_codec_alone(tmp_path: Path, database: str) -> None:
    listening, endpoint = listen()
    async with delivered_event(tmp_path, database, endpoint) as (server, event_id, page):
        url = f"{server.ui_url}{page}"
        stored = await _stored_input(server, event_id)
        codec = EncryptionCodec(KeyRing(OLD_KEY))
        # A Web UI that the codec server doesn't know is as good as one without it.
        async with serve_codec(listening.dup(), codec, CodecAccess()):
            without, picture_without = await look_at(
                url, tmp_path, "without-codec", lambda page: stored in page
            )
        access = CodecAccess(origins=ui_origins(server.ui_url))
        async with serve_codec(listening, codec, access):
            with_codec, picture_with = await look_at(
                url, tmp_path, "with-codec", lambda page: markers.EMAIL in page
            )
    assert stored in without
    assert markers.found_in(without.encode()) == set()
    assert stored not in with_codec
    assert markers.found_in(with_codec.encode()) >= READABLE
    for picture in (picture_without, picture_with):
        assert picture.read_bytes().startswith(b"\x89PNG")


async def _stored_input(server: DevServer, event_id: str) -> str:
    """The beginning of the event's input as it is stored and as the Web UI then shows it."""
    client = await connect(server.address)
    history = await client.get_workflow_handle(event_id).fetch_history()
    [stored] = history.events[0].workflow_execution_started_event_attributes.input.payloads
    return base64.b64encode(stored.data[:30]).decode()
