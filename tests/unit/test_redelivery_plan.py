"""A failed event is delivered again: the failed deliveries only, with everything done before."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from delivery_samples import EVENT_ID, NOW, TIMESTAMP, event_fields, read
from redelivery_samples import A, B, C, call_log, delivery, facts_of, log_of

from delivery.event import MAX_PAYLOAD_DEPTH
from delivery.redelivery import SHORTENED
from delivery.result import Status
from delivery.rule import MAX_RULES_PER_EVENT
from operations.redelivery_plan import (
    LARGEST_INPUT,
    LARGEST_REDELIVERY,
    NotRedeliverable,
    plan_redelivery,
    redelivered_input,
)

COMPLETED, FAILED, CANCELED = Status.COMPLETED, Status.FAILED, Status.CANCELED
ENDED = (delivery(A, COMPLETED), delivery(B, FAILED), delivery(C, CANCELED))


def test_the_failed_deliveries_are_made_again_and_all_are_remembered():
    plan = plan_redelivery(log_of(*ENDED), facts_of(A, B, C))
    assert plan.rules == (B,)
    assert [one.rule for one in plan.earlier] == [A, B, C]
    assert [one.status for one in plan.earlier] == [COMPLETED, FAILED, CANCELED]
    assert plan.accepted_at == NOW + timedelta(milliseconds=5)


def test_some_of_the_failed_deliveries_can_be_named():
    log = log_of(delivery(A, FAILED), delivery(B, FAILED), delivery(C, FAILED))
    plan = plan_redelivery(log, facts_of(A, B, C), [C, A])
    assert plan.rules == (A, C)
    assert len(plan.earlier) == 3


@pytest.mark.parametrize(("rule", "reason"), [(A, "is completed"), (C, "is canceled"), ("x", "x")])
def test_only_a_failed_delivery_can_be_named(rule, reason):
    with pytest.raises(NotRedeliverable, match=reason):
        plan_redelivery(log_of(*ENDED), facts_of(A, B, C), [B, rule])


@pytest.mark.parametrize(
    ("closed", "reason"),
    [
        (None, "still being delivered"),
        ("completed", "no delivery of this event has failed"),
        ("canceled", "was canceled"),
    ],
)
def test_what_runs_was_delivered_or_canceled_is_not_delivered_again(closed, reason):
    with pytest.raises(NotRedeliverable, match=reason):
        plan_redelivery(log_of(*ENDED), facts_of(A, B, C, closed=closed))


def test_an_event_without_a_failed_delivery_is_not_delivered_again():
    log = log_of(delivery(A, COMPLETED), delivery(B, CANCELED))
    with pytest.raises(NotRedeliverable, match="no delivery of this event has failed"):
        plan_redelivery(log, facts_of(A, B))
    with pytest.raises(NotRedeliverable, match="no delivery of this event has failed"):
        plan_redelivery(log_of(*ENDED), facts_of(A, B, C), [])


def test_an_event_that_could_not_be_read_is_not_delivered_again():
    facts = facts_of(error_type="InvalidEvent", error="payload: is missing; it is required")
    with pytest.raises(NotRedeliverable, match=r"payload: is missing.*emit a corrected one"):
        plan_redelivery(log_of(), facts)
    with pytest.raises(NotRedeliverable, match="it is malformed"):
        plan_redelivery(log_of(payload=None), facts_of())


@pytest.mark.parametrize("closed", ["terminated", "timed_out"])
def test_deliveries_cut_off_from_outside_count_as_failed(closed):
    log = log_of(delivery(A, COMPLETED), delivery(B, CANCELED), delivery(C, CANCELED))
    facts = facts_of(A, B, C, closed=closed, canceled_rules={C})
    plan = plan_redelivery(log, facts)
    assert plan.rules == (B,), "one canceled by a person before stays canceled"
    assert [one.status for one in plan.earlier] == [COMPLETED, FAILED, CANCELED]


def test_deliveries_that_earlier_runs_settled_are_not_cut_off_by_a_later_end():
    log = log_of(delivery(A, CANCELED), delivery(B, CANCELED))
    assert plan_redelivery(log, facts_of(B, closed="terminated")).rules == (B,)


def test_an_event_that_never_matched_is_started_whole():
    facts = facts_of(matched=None, closed="terminated")
    plan = plan_redelivery(log_of(), facts)
    assert (plan.rules, plan.earlier) == ((), ())
    with pytest.raises(NotRedeliverable, match="before it was matched"):
        plan_redelivery(log_of(), facts, [A])


def test_nothing_of_what_is_remembered_is_under_way_any_more():
    failed = delivery(A, FAILED, held="held: the connection is paused", track=call_log("track", 3))
    (earlier,) = plan_redelivery(log_of(failed), facts_of(A)).earlier
    assert earlier.held is None
    for call in (earlier.identify, earlier.track):
        assert call is not None
        assert not call.in_flight
        assert call.next_attempt_at is None
        assert call.attempts[-1].next_attempt_at is None
    assert earlier.track.attempt_count == 3


def redelivered(log, facts, **changes):
    plan = plan_redelivery(log, facts)
    return redelivered_input(log, facts, plan), plan


def test_the_new_run_reads_the_same_event_and_what_was_done_with_it():
    data, plan = redelivered(log_of(*ENDED), facts_of(A, B, C))
    before, again = read(event_fields()), read(data)
    assert again.redelivery == plan
    assert again.model_copy(update={"redelivery": None}) == before


def test_the_event_goes_as_it_came_with_the_time_it_was_resolved_to():
    came = event_fields(trace="abc", only_rules=[A], resource_id="r-1", test=False)
    del came["timestamp"]
    data, _ = redelivered(log_of(*ENDED), facts_of(A, B, C, input=came))
    fields = json.loads(data)
    assert fields.pop("timestamp") == TIMESTAMP
    assert fields.pop("redelivery")
    assert fields == came


def test_a_second_redelivery_takes_the_place_of_the_first():
    first, _ = redelivered(log_of(*ENDED), facts_of(A, B, C))
    facts = facts_of(B, input=json.loads(first))
    second, plan = redelivered(log_of(*ENDED), facts)
    assert read(second).redelivery == plan
    assert len(second) < len(first) * 1.1


def test_a_payload_of_any_depth_taken_once_is_taken_again():
    payload: dict = {"leaf": 1}
    for _ in range(MAX_PAYLOAD_DEPTH - 1):
        payload = {"a": payload}
    request = {"userId": "u1", "traits": payload}
    log = log_of(delivery(A, FAILED, identify=call_log("identify", request=request)))
    data, _ = redelivered(log, facts_of(A, input=event_fields(payload=payload)))
    again = read(data)
    assert again.payload == payload
    assert again.redelivery.earlier[0].identify.request == request


def test_a_request_too_deep_to_be_read_again_is_left_out_and_the_event_is_not():
    request: dict = {"leaf": 1}
    for _ in range(61):
        request = {"a": request}
    log = log_of(delivery(A, FAILED, identify=call_log("identify", request=request)))
    (earlier,) = read(redelivered(log, facts_of(A))[0]).redelivery.earlier
    assert earlier.identify.request == {}
    assert earlier.warnings == (SHORTENED,)


def many(excerpt: int, trait: int = 10, attempts: int = 50):
    request = {"traits": {"bio": "x" * trait}}
    calls = {
        call: call_log(call, attempts, excerpt="e" * excerpt, request=request)
        for call in ("identify", "track")
    }
    rules = [f"7d3c1a52-90b4-4a53-8f05-{n:012x}" for n in range(MAX_RULES_PER_EVENT)]
    return log_of(*(delivery(rule, FAILED, **calls) for rule in rules)), facts_of(*rules)


def test_a_log_that_is_too_large_loses_excerpts_first():
    log, facts = many(excerpt=400, attempts=20)
    data, _ = redelivered(log, facts)
    assert len(data) <= LARGEST_REDELIVERY + len(json.dumps(facts.input))
    call = read(data).redelivery.earlier[0].identify
    assert len(call.attempts) == 20
    assert call.request == {"traits": {"bio": "x" * 10}}
    assert all(one.response_excerpt is None for one in call.attempts)


def test_then_requests_then_the_attempts_between():
    log, facts = many(excerpt=400, trait=4_000, attempts=20)
    without_requests = read(redelivered(log, facts)[0]).redelivery.earlier[0]
    assert without_requests.identify.request == {}
    assert len(without_requests.identify.attempts) == 20

    log, facts = many(excerpt=400, trait=30_000, attempts=50)
    ends = read(redelivered(log, facts)[0]).redelivery.earlier[0]
    assert [one.number for one in ends.identify.attempts] == [1, 50]
    assert (ends.identify.attempt_count, ends.identify.attempts_left_out) == (50, 48)
    assert ends.warnings == (SHORTENED,), "told once, however often it was shortened"


def test_no_delivery_is_forgotten_however_large_the_log():
    log, facts = many(excerpt=2_000, trait=30_000)
    again = read(redelivered(log, facts)[0]).redelivery
    assert [one.rule for one in again.earlier] == [one.rule for one in log.deliveries]
    assert len(again.rules) == MAX_RULES_PER_EVENT


def test_a_large_event_leaves_less_room_and_one_too_large_is_refused():
    log, facts = many(excerpt=400, attempts=20)
    facts.input = event_fields(payload={"bio": "x" * (LARGEST_INPUT - 900_000)})
    assert len(redelivered(log, facts)[0]) <= LARGEST_INPUT
    facts.input = event_fields(payload={"bio": "x" * (LARGEST_INPUT - 1_000)})
    with pytest.raises(NotRedeliverable, match="too large to start again"):
        redelivered(log, facts)


def test_an_event_id_is_kept():
    data, _ = redelivered(log_of(*ENDED), facts_of(A, B, C))
    assert "id" not in json.loads(data)
    assert read(data).id == EVENT_ID
