"""The list filter: no value can break out of it, none is lost to the server's escaping."""

from __future__ import annotations

import re
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.result import Status
from eventlog.query import EventQuery

WORKSPACE = "0b2f4c3e-6a5d-4f0e-9a55-8d0c7d3f0001"


@given(st.text(), st.text(), st.text())
def test_no_value_breaks_out_of_its_quotes(event: str, resource: str, rule: str) -> None:
    query = EventQuery((WORKSPACE,), event=event, resource=resource, rule=rule)
    plain = EventQuery((WORKSPACE,), event="e", resource="r", rule="i")
    without_values = re.sub(r"'[^']*'", "''", query.conditions())
    for name in ("EmitonceEvent", "EmitonceResource"):
        without_values = without_values.replace(f"{name} STARTS_WITH ''", f"{name} = ''")
    shape = re.sub(r"'[^']*'", "''", plain.conditions())
    # A condition may be left out where no character of the value is plain; nothing is added.
    assert set(without_values.split(" AND ")) <= set(shape.split(" AND "))
    assert not set("\\?") & set(query.conditions())


@pytest.mark.parametrize(
    ("event", "condition"),
    [
        ("user.signup", "EmitonceEvent = 'user.signup'"),
        ("100%_é😀", "EmitonceEvent = '100%_é😀'"),
        ("it's", "EmitonceEvent STARTS_WITH 'it'"),
        ('say "hi"', "EmitonceEvent STARTS_WITH 'say '"),
        ("a\\", "EmitonceEvent STARTS_WITH 'a'"),
        ("what? now", "EmitonceEvent STARTS_WITH 'what'"),
    ],
)
def test_what_is_not_plain_is_asked_for_by_its_beginning(event: str, condition: str) -> None:
    assert condition in EventQuery((WORKSPACE,), event=event).conditions()


def test_tests_are_left_out_unless_asked_for() -> None:
    assert "!= 'test'" in EventQuery((WORKSPACE,)).conditions()
    assert "test" not in EventQuery((WORKSPACE,), include_tests=True).conditions()


@pytest.mark.parametrize("status", [Status.PENDING, Status.PROCESSING, Status.RETRYING])
def test_open_statuses_ask_for_open_runs_and_say_so(status: Status) -> None:
    query = EventQuery((WORKSPACE,), status=status)
    assert "ExecutionStatus = 'Running'" in query.conditions()
    assert not query.status_is_exact


def test_a_list_needs_a_workspace_and_times_a_zone() -> None:
    with pytest.raises(ValueError, match="workspaces"):
        EventQuery(())
    with pytest.raises(ValueError, match="accepted_from"):
        EventQuery((WORKSPACE,), accepted_from=datetime(2026, 11, 24))
