"""What one live worker lacks is used by none; what was used once, each later one must know."""

from __future__ import annotations

import pytest

from activities.match_rules import MatchRules
from catalog.errors import ReleaseTooOld
from catalog.worker_share import FLEET_SECONDS, WorkerShare
from delivery.people import PEOPLE
from delivery.reason import REASON
from delivery.rule import MatchRequest
from delivery.size import SIZE_LIMIT
from destinations.registry import FIRST_RELEASE
from tests.conftest import psql
from tests.contract.catalog_samples import Tenant, opened
from tests.contract.test_catalog_workers import Clock, beat

NEWER = FIRST_RELEASE.model_copy(update={"builds": (1, 2), "features": ("short_attempts",)})


async def test_newest_build_waits_for_the_last_worker_that_lacks_it(database):
    async with opened(database) as catalog:
        old = WorkerShare(catalog.workers, knows=FIRST_RELEASE)
        new = WorkerShare(catalog.workers, knows=NEWER)
        await beat(old)
        await beat(new)
        assert new.fleet() == FIRST_RELEASE
        assert await catalog.workers.fleet() == FIRST_RELEASE
        await catalog.workers.leave(old.id)
        await beat(new)
        assert new.fleet() == NEWER


async def test_row_without_a_word_is_of_the_first_release(database):
    async with opened(database) as catalog, psql(database) as reader:
        new = WorkerShare(catalog.workers, knows=NEWER)
        await reader.execute(
            "INSERT INTO workers (id, seen_at, counted) "
            "VALUES (gen_random_uuid(), clock_timestamp(), 1)"
        )
        await beat(new)
        assert new.fleet() == FIRST_RELEASE


async def test_what_was_used_once_is_not_gone_back_behind(database):
    async with opened(database) as catalog, psql(database) as reader:
        async with WorkerShare(catalog.workers, knows=NEWER).kept():
            pass
        with pytest.raises(ReleaseTooOld, match="build 2, feature short_attempts"):
            async with WorkerShare(catalog.workers, knows=FIRST_RELEASE).kept():
                pass
        assert await reader.fetchval("SELECT count(*) FROM workers") == 0
        async with WorkerShare(catalog.workers, knows=NEWER).kept() as share:
            assert share() == 1


async def test_worker_that_overslept_the_switch_sends_nothing(database):
    async with opened(database) as catalog, psql(database) as reader:
        old = WorkerShare(catalog.workers, knows=FIRST_RELEASE)
        assert await beat(old) == 1
        await reader.execute("UPDATE workers SET seen_at = seen_at - interval '11 seconds'")
        async with WorkerShare(catalog.workers, knows=NEWER).kept() as new:
            assert new.fleet() == NEWER
            old._share_until = 0
            assert await beat(old) == 0


async def test_worker_that_cannot_ask_records_what_every_release_knows(database):
    async with opened(database) as catalog:
        clock = Clock()
        new = WorkerShare(catalog.workers, knows=NEWER, clock=clock)
        await beat(new)
        assert new.fleet() == NEWER
        clock.now += FLEET_SECONDS
        assert new.fleet() == FIRST_RELEASE


async def test_worker_is_refused_that_lacks_a_type_which_a_connection_has(database):
    other = FIRST_RELEASE.model_copy(update={"destination_types": ("other",)})
    async with opened(database) as catalog:
        await Tenant.create(catalog)
        with pytest.raises(ReleaseTooOld, match="destination type customer_io"):
            async with WorkerShare(catalog.workers, knows=other).kept():
                pass


async def test_limits_of_size_hold_from_when_the_last_worker_knew_them(database):
    limited = FIRST_RELEASE.model_copy(update={"features": (SIZE_LIMIT,)})
    async with opened(database) as catalog, psql(database) as reader:
        old = WorkerShare(catalog.workers, knows=FIRST_RELEASE)
        new = WorkerShare(catalog.workers, knows=limited)
        await beat(old)
        await beat(new)
        assert new.limited_since() is None
        await catalog.workers.leave(old.id)
        before = await reader.fetchval("SELECT clock_timestamp()")
        await beat(new)
        since = new.limited_since()
        assert since is not None
        assert before <= since
        await beat(new)
        assert new.limited_since() == since


@pytest.mark.slow
async def test_feature_that_one_worker_cannot_use_where_it_runs_is_used_by_none(database):
    knowing = FIRST_RELEASE.model_copy(update={"features": (PEOPLE,)})
    async with opened(database) as catalog:
        without = WorkerShare(catalog.workers, knows=knowing, unused=(PEOPLE,))
        new = WorkerShare(catalog.workers, knows=knowing)
        await beat(without)
        await beat(new)
        assert new.fleet().features == without.fleet().features == ()
        assert new.in_use().get(PEOPLE) is await catalog.workers.in_use_since(PEOPLE) is None
        await catalog.workers.leave(without.id)
        await beat(new)
        assert new.fleet().features == (PEOPLE,)
        assert new.in_use()[PEOPLE] == await catalog.workers.in_use_since(PEOPLE) is not None
        async with WorkerShare(catalog.workers, knows=knowing, unused=(PEOPLE,)).kept() as late:
            assert PEOPLE not in late.in_use()


async def test_people_and_reasons_are_recorded_also_while_the_fleet_cannot_be_asked(database):
    """Whoever lacks the feature isn't admitted since it is in use."""
    knowing = FIRST_RELEASE.model_copy(update={"features": (PEOPLE, REASON)})
    async with opened(database) as catalog:
        clock = Clock()
        share = WorkerShare(catalog.workers, knows=knowing, clock=clock)
        await beat(share)
        clock.now += FLEET_SECONDS
        assert share.fleet() == FIRST_RELEASE
        matching = MatchRules(catalog.rule_lookup, share.fleet, share.limited_since, share.in_use)
        tenant = await Tenant.create(catalog)
        request = MatchRequest(
            workspace=tenant.workspace, event="x", resource="global", payload={"userId": "usr_1"}
        )
        result = await matching.match_rules(request)
        assert (result.features, len(result.people or ())) == ((PEOPLE, REASON), 1)
