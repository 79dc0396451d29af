"""Attempts are all counted, the first and the latest are kept, and the list stays small."""

from __future__ import annotations

import pytest
from delivery_samples import NOW, attempt, attempts
from pydantic import ValidationError

from delivery.attempt import AttemptList, lost_attempt
from delivery.outcome import OutcomeCode
from delivery.step import Carried

# What the engine takes for one payload; a heartbeat and a result carry the list.
LARGEST_PAYLOAD = 2 * 1024 * 1024


def lengths(kept: AttemptList) -> list[int]:
    return [len(one.response_excerpt or "") for one in kept.kept]


def test_an_empty_list_has_no_ends():
    empty = AttemptList()
    assert (empty.first, empty.last, empty.left_out, empty.next_number()) == (None, None, 0, 1)


@pytest.mark.parametrize("count", [1, 2, 49, 50])
def test_up_to_fifty_attempts_are_all_kept(count):
    made = attempts(count)
    assert [one.number for one in made.kept] == list(range(1, count + 1))
    assert (made.count, made.left_out, made.next_number()) == (count, 0, count + 1)


@pytest.mark.parametrize("count", [51, 52, 300])
def test_of_more_the_first_ten_and_the_last_forty_are_kept(count):
    made = attempts(count)
    numbers = [one.number for one in made.kept]
    assert numbers == [*range(1, 11), *range(count - 39, count + 1)]
    assert made.first == made.kept[0]
    assert made.last == made.kept[-1]
    assert (made.count, made.left_out, made.next_number()) == (count, count - 50, count + 1)


def test_excerpts_are_long_at_the_ends_and_short_between():
    assert lengths(attempts(1, excerpt="x" * 5_000)) == [2_000]
    assert lengths(attempts(2, excerpt="x" * 5_000)) == [2_000, 2_000]
    assert lengths(attempts(5, excerpt="x" * 5_000)) == [2_000, 500, 500, 500, 2_000]
    assert set(lengths(attempts(80, excerpt="x" * 5_000))[1:-1]) == {500}


def test_a_shortened_excerpt_says_so_and_a_short_one_stays():
    made = attempts(3, excerpt="x" * 501)
    assert made.kept[1].response_excerpt == "x" * 499 + "…"
    assert made.kept[0].response_excerpt == made.kept[2].response_excerpt == "x" * 501
    assert attempts(3, excerpt="é" * 500).kept[1].response_excerpt == "é" * 500
    assert attempts(3).kept[1].response_excerpt is None


def test_adding_leaves_the_earlier_list_as_it_was():
    before = attempts(2)
    before.add(attempt(3))
    assert before == attempts(2)
    with pytest.raises(ValidationError):
        before.count = 7


def test_days_of_attempts_stay_far_below_what_the_engine_takes():
    carried = Carried(tries=400, attempts=attempts(400, excerpt="😀" * 64 * 1024))
    assert len(carried.model_dump_json().encode()) < LARGEST_PAYLOAD / 10


def test_a_list_is_carried_through_the_engine_unchanged():
    made = attempts(60, excerpt="é" * 600)
    assert AttemptList.model_validate_json(made.model_dump_json()) == made


def test_a_try_whose_worker_died_is_told_as_such():
    lost = lost_attempt(4, "track", NOW)
    assert (lost.number, lost.call, lost.started_at) == (4, "track", NOW)
    assert lost.outcome_code is OutcomeCode.INTERNAL_ERROR
    assert lost.message.startswith("unknown: ")
    assert lost.request_made is None


def test_what_a_newer_version_adds_is_passed_over():
    data = attempt().model_dump() | {"added_later": 1}
    assert type(attempt()).model_validate(data) == attempt()
