"""What an event came to: one status of many, and a result that always fits into one payload."""

from __future__ import annotations

import pytest
from delivery_samples import CONNECTION, EVENT_ID, attempts

from delivery.outcome import OutcomeCode
from delivery.result import CallResult, DeliveryResult, EventResult, Status, roll_up
from delivery.step import StepResult

LARGEST_PAYLOAD = 2 * 1024 * 1024

PENDING, PROCESSING, RETRYING = Status.PENDING, Status.PROCESSING, Status.RETRYING
COMPLETED, FAILED, CANCELED = Status.COMPLETED, Status.FAILED, Status.CANCELED


def step_result(count: int, *, excerpt: str | None = None) -> StepResult:
    return StepResult(
        outcome_code=OutcomeCode.REJECTED_SERVER_ERROR,
        message="503: the server could not answer",
        status_code=503,
        response_excerpt=excerpt,
        attempts=attempts(count, excerpt=excerpt),
    )


def delivery(status: Status, rule: str = "r", **fields: object) -> DeliveryResult:
    return DeliveryResult.model_validate(
        {
            "rule": rule,
            "connection": CONNECTION,
            "integration_type": "customer_io",
            "status": status,
            **fields,
        }
    )


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([], COMPLETED),
        ([COMPLETED], COMPLETED),
        ([COMPLETED, COMPLETED], COMPLETED),
        ([COMPLETED, FAILED], FAILED),
        ([FAILED, FAILED], FAILED),
        ([CANCELED], CANCELED),
        ([CANCELED, CANCELED], CANCELED),
        ([CANCELED, COMPLETED], COMPLETED),
        ([CANCELED, FAILED], FAILED),
        ([PENDING, FAILED], PENDING),
        ([PENDING, COMPLETED, CANCELED], PENDING),
        ([PENDING, PROCESSING], PROCESSING),
        ([PROCESSING, FAILED], PROCESSING),
        ([PROCESSING, RETRYING, PENDING], RETRYING),
        ([RETRYING, FAILED, COMPLETED], RETRYING),
    ],
)
def test_the_status_of_an_event_is_that_of_its_deliveries(statuses, expected):
    assert roll_up(statuses) is expected
    assert roll_up(statuses[::-1]) is expected


def test_a_result_counts_its_deliveries():
    result = EventResult.of(
        EVENT_ID, [delivery(COMPLETED), delivery(FAILED), delivery(CANCELED), delivery(FAILED)]
    )
    assert (result.total_rules, result.completed_count, result.failed_count) == (4, 1, 2)
    assert result.status is FAILED


def test_no_matching_rule_is_a_completed_event():
    assert EventResult.of(EVENT_ID, []).model_dump(mode="json") == {
        "event_id": EVENT_ID,
        "status": "completed",
        "total_rules": 0,
        "completed_count": 0,
        "failed_count": 0,
        "deliveries": [],
    }


@pytest.mark.parametrize(("count", "numbers"), [(0, []), (1, [1]), (2, [1, 2]), (75, [1, 75])])
def test_a_call_is_told_by_its_first_and_its_last_attempt(count, numbers):
    call = CallResult.of(step_result(count, excerpt="<html>"))
    assert [one.number for one in call.attempts] == numbers
    assert call.attempt_count == count
    assert (call.status_code, call.outcome_code) == (503, OutcomeCode.REJECTED_SERVER_ERROR)
    assert all(one.response_excerpt is None for one in call.attempts)


def test_a_call_that_was_never_sent_is_null():
    told = delivery(FAILED, error="mapping_error: userId: is a list").model_dump(mode="json")
    assert told["identify"] is None
    assert told["track"] is None
    assert told["integration_type"] == "customer_io"


def test_a_hundred_rules_of_fifty_attempts_stay_far_below_what_the_engine_takes():
    call = CallResult.of(step_result(50, excerpt="😀" * 2_000))
    warnings = ["w" * 200] * 20
    result = EventResult.of(
        EVENT_ID,
        [
            delivery(FAILED, f"rule-{i}", identify=call, track=call, warnings=warnings)
            for i in range(100)
        ],
    )
    data = result.model_dump_json().encode()
    assert len(data) < LARGEST_PAYLOAD / 3
    assert EventResult.model_validate_json(data) == result
