"""A real browser: Debian's Chromium, driven over its debugging protocol."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, async_playwright

MISSING = (
    "Chromium is not installed: apt-get install chromium, or name one by EMITONCE_TEST_CHROMIUM"
)


def chromium_path() -> str | None:
    given = os.environ.get("EMITONCE_TEST_CHROMIUM")
    return given or shutil.which("chromium") or shutil.which("chromium-browser")


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """Skips the test where there is no browser."""
    path = chromium_path()
    if path is None:
        pytest.skip(MISSING)
    async with async_playwright() as playwright:
        # Root may not use Chromium's own sandbox; all that is opened here is the console.
        browser = await playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        try:
            yield browser
        finally:
            await browser.close()
