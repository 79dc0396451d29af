"""What a new run makes of its earlier runs: every delivery stays in the log, in its place."""

from __future__ import annotations

from delivery_samples import NOW
from redelivery_samples import A, B, C, call_log, delivery

from delivery.redelivery import RULE_GONE, Redelivery
from delivery.result import Status

COMPLETED, FAILED, CANCELED = Status.COMPLETED, Status.FAILED, Status.CANCELED
EARLIER = Redelivery(
    accepted_at=NOW,
    rules=(B, C),
    earlier=(delivery(A, COMPLETED), delivery(B, FAILED), delivery(C, FAILED)),
)


def same(log):
    return log


def test_a_delivery_of_an_earlier_run_is_found_by_its_rule():
    assert EARLIER.of(B) == EARLIER.earlier[1]
    assert EARLIER.of("another") is None


def test_deliveries_made_now_take_the_place_of_the_earlier_ones():
    made = {C: delivery(C, COMPLETED), B: delivery(B, FAILED, last_error="again")}
    complete = EARLIER.complete(made, same)
    assert complete == (EARLIER.earlier[0], made[B], made[C])


def test_one_whose_rule_is_gone_has_failed_and_says_why():
    made = {C: delivery(C, COMPLETED)}
    gone = EARLIER.complete(made, same)[1]
    assert (gone.rule, gone.status, gone.last_error) == (B, FAILED, RULE_GONE)
    assert gone.identify == EARLIER.earlier[1].identify


def test_one_that_no_earlier_run_knew_comes_last():
    made = {rule: delivery(rule, COMPLETED) for rule in ("new", B, C)}
    assert [one.rule for one in EARLIER.complete(made, same)] == [A, B, C, "new"]


def test_earlier_deliveries_stand_in_the_new_result_in_short():
    settled = delivery(A, COMPLETED, identify=call_log("identify", 3, status_code=200))
    only = Redelivery(accepted_at=NOW, earlier=(settled,))
    (result,) = only.complete({}, lambda log: log.result)
    assert (result.rule, result.status) == (A, COMPLETED)
    assert [one.number for one in result.identify.attempts] == [1, 3]
    assert result.identify.attempt_count == 3
    assert result.track is None


def test_a_call_that_was_scheduled_but_never_tried_has_no_result():
    untried = delivery(A, CANCELED, identify=call_log("identify", 0))
    assert untried.result.identify is None
    assert untried.identify.step_result is None
    assert untried.call("identify") is untried.identify
    assert untried.call("track") is None


def test_shortening_stops_as_soon_as_it_fits():
    full = Redelivery(
        accepted_at=NOW, rules=(A,), earlier=(delivery(A, FAILED, track=call_log("track", 5)),)
    )
    seen: list[Redelivery] = []

    def fits_at(step: int):
        seen.clear()

        def fits(tried: Redelivery) -> bool:
            seen.append(tried)
            return len(seen) == step

        return fits

    assert full.shortened_until(fits_at(1)) == full
    without_excerpts = full.shortened_until(fits_at(2)).earlier[0].track
    assert without_excerpts.response_excerpt is None
    assert without_excerpts.request
    without_requests = full.shortened_until(fits_at(3)).earlier[0].track
    assert without_requests.request == {}
    assert len(without_requests.attempts) == 5
    ends = full.shortened_until(fits_at(4)).earlier[0].track
    assert [one.number for one in ends.attempts] == [1, 5]
    assert full.shortened_until(fits_at(5)) is None
