"""The limit counts what one event can match: never fewer, and never more."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from catalog.rule_limit import most_matched

names = st.sampled_from([None, "a", "b", "c"])
rules = st.lists(st.tuples(names, names), max_size=30)


def most_by_trying(rules: list[tuple[str | None, str | None]]) -> int:
    """Every event there can be: with each named resource and id, with others, and without an id."""
    return max(
        sum(
            1
            for rule_resource, rule_id in rules
            if rule_resource in (None, resource) and rule_id in (None, resource_id)
        )
        for resource in ("a", "b", "c", "other")
        for resource_id in ("a", "b", "c", "other", None)
    )


@given(rules)
def test_most_matched_is_what_trying_every_event_finds(rules):
    assert most_matched(Counter(rules)) == most_by_trying(rules)
