"""A small part of `make upgrade` in every test run: the same releases, fewer events."""

from __future__ import annotations

import os

import pytest

from destinations.registry import this_release
from tests.chaos.older_code import is_known
from tests.upgrade.mutants import where_r0_drops_builds, with_an_unreadable_schema
from tests.upgrade.releases import FIRST_COMMIT, R0_COMMIT
from tests.upgrade.run import run

SEED = int(os.environ.get("EMITONCE_TEST_SEED", "20261126"))
EVENTS = 40
STAGE_SECONDS = 4.0
LONG = pytest.mark.skipif(
    not os.environ.get("EMITONCE_TEST_LONG"), reason="takes minutes: set EMITONCE_TEST_LONG=1"
)
pytestmark = [
    pytest.mark.slow,
    # Minutes on a free machine; a loaded one may need several times as long.
    pytest.mark.timeout(1200),
    pytest.mark.skipif(
        not (is_known(FIRST_COMMIT) and is_known(R0_COMMIT)),
        reason="earlier releases come from git's history: git fetch --unshallow",
    ),
]


async def test_nothing_is_lost_or_changed_on_the_way_forwards_and_back() -> None:
    upgrade = await run(seed=SEED, events=EVENTS, stage_seconds=STAGE_SECONDS)
    assert upgrade.broken == []
    assert (upgrade.outcome.lost, upgrade.different_bytes, upgrade.failed_tasks) == (0, 0, 0)
    assert upgrade.outcome.events >= EVENTS
    assert f"build {this_release().newest_build}" in (upgrade.story.refused or "")


@LONG
async def test_a_schema_that_the_release_before_cannot_read_is_found_out() -> None:
    upgrade = await run(
        seed=SEED, events=EVENTS, stage_seconds=STAGE_SECONDS, changed=with_an_unreadable_schema
    )
    assert upgrade.outcome.lost > 0
    assert any("R0" in what and "could not be told" in what for what in upgrade.broken)


@LONG
async def test_a_release_that_drops_a_runs_build_is_found_out() -> None:
    upgrade = await run(
        seed=SEED, events=EVENTS, stage_seconds=STAGE_SECONDS, changed=where_r0_drops_builds
    )
    assert upgrade.different_bytes > 0
    assert any("was admitted" in what for what in upgrade.broken)
