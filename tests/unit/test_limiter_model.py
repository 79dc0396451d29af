"""What docs/limiter.md promises holds for fleets and vendors as they are modeled."""

from __future__ import annotations

import itertools
import statistics
from functools import partial
from random import Random

import pytest

from activities.connection_limiter import Answer
from bench.limiter_model import Bucket, Vendor, Window, run


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("limit", [partial(Bucket, 20, 20), partial(Window, 20, 1)])
def test_an_unknown_limit_is_found_and_used(limit, workers):
    ran = [run([0.0] * 600, Vendor(0.05, limit()), workers=workers, seed=n) for n in (1, 2, 3)]
    assert statistics.median(one.last for one in ran) <= 1.1 * 60
    assert statistics.median(one.refused for one in ran) <= 0.03 * workers


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_a_low_rate_is_kept_and_used_up_by_all_workers_together(workers):
    ran = run([0.0] * 3_000, Vendor(), workers=workers, per_second=1, calls=1)
    assert ran.last <= 1.05 * 3_000
    assert ran.most_within(3) <= 3 + min(workers, 2)  # shares change while workers come in


@pytest.mark.parametrize("workers", [1, 2])
def test_an_account_of_two_connections_is_refused_with_a_limiter_each_and_not_with_one(workers):
    one, each = (
        run(
            [0.0] * 600,
            Vendor(accepts=Window(2, 1)),
            workers=workers,
            per_second=2,
            calls=1,
            connections=connections,
        )
        for connections in (1, 2)
    )
    assert one.refused == 0
    assert each.refused > 0.1
    assert one.last <= 1.1 * 300


def test_chance_refusals_and_failures_cost_only_those_that_met_them():
    chance = Random(1)
    arrivals = list(itertools.accumulate(chance.expovariate(20) for _ in range(1_000)))
    limited, free = (
        run(arrivals, Vendor(refuses=0.02, fails=0.05), limited=limited)
        for limited in (True, False)
    )
    assert limited.took(0.5) <= 2 * free.took(0.5)
    assert limited.took(0.95) <= 2 * free.took(0.95)


def test_nothing_is_sent_while_the_vendor_asks_to_wait():
    vendor = Vendor(accepts=Bucket(20, 20), retry_after=5)
    ran = run([0.0] * 100, vendor, workers=2)
    first = next(at for at, said in ran.requests if said is Answer.REFUSED)
    stopped = [at for at, _ in ran.requests if first + 0.2 < at < first + 5]
    assert not stopped


@pytest.mark.parametrize("count", [30, 1_000])
def test_an_outage_of_an_hour_costs_requests_by_the_time_it_lasts(count):
    ran = run([0.0] * count, Vendor(down_until=3_600))
    failed = sum(said is Answer.FAILED for _, said in ran.requests)
    assert failed < 300
    opened = min(at for at, said in ran.requests if said is Answer.ACCEPTED)
    assert opened <= 3_600 + 20
    assert all(end < 3_600 + 900 for _, end in ran.ended)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_event_that_always_fails_holds_up_no_other(workers):
    arrivals = [0.0] + [10.0 + number for number in range(200)]
    ran = run(arrivals, Vendor(poison=frozenset({0})), workers=workers, until=3_600)
    assert max(end - arrived for arrived, end in ran.ended[1:]) < 1
