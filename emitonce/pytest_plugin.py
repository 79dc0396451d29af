"""The fixtures of `emitonce.testing`, which pytest finds where this package is installed."""

from __future__ import annotations

import pytest

from emitonce.testing import AsyncFakeEmitter, FakeEmitter


@pytest.fixture
def fake_emitter() -> FakeEmitter:
    """Stands in for `HTTPEmitter` and `SyncEmitter`; see `emitonce.testing`."""
    return FakeEmitter()


@pytest.fixture
def async_fake_emitter() -> AsyncFakeEmitter:
    """Stands in for `AsyncHTTPEmitter` and `Emitter`; see `emitonce.testing`."""
    return AsyncFakeEmitter()
