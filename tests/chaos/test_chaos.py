"""A small part of `make chaos` in every test run: real processes, real faults, the same oracle."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio

from tests.chaos.mutants import STORIES, broken_by
from tests.chaos.run import live_through
from tests.chaos.scenarios import SCENARIOS, Scenario
from tests.chaos.world import World, open_world

SEED = int(os.environ.get("EMITONCE_TEST_SEED", "20261124"))
LONG = pytest.mark.skipif(
    not os.environ.get("EMITONCE_TEST_LONG"), reason="takes minutes: set EMITONCE_TEST_LONG=1"
)
# Seconds on a free machine; a loaded one may need ten times as long, and nothing here is timed.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest_asyncio.fixture(scope="module")
async def world() -> AsyncIterator[World]:
    with tempfile.TemporaryDirectory(prefix="emitonce-chaos-", ignore_cleanup_errors=True) as path:
        async with open_world(Path(path), Random(SEED)) as world:
            yield world


@pytest.mark.parametrize(
    "scenario", [one for one in SCENARIOS if one.small], ids=lambda one: one.name
)
async def test_nothing_is_lost(world: World, scenario: Scenario) -> None:
    outcome = await live_through(world, scenario, size=0.4)
    assert outcome.broken == []
    assert outcome.lost == 0
    assert outcome.events > 0


@pytest.mark.parametrize(
    "invariant",
    [one if one == "I2" else pytest.param(one, marks=LONG) for one in STORIES],
)
async def test_broken_code_is_found_out(world: World, invariant: str) -> None:
    assert invariant in await broken_by(world, invariant)
