"""Whatever a backend sends as an event is read in one way, or refused by field and remedy."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from delivery_samples import EVENT_ID, GOLDEN, NOW, RULE, WORKSPACE, event, event_fields, read
from pydantic import ValidationError

from delivery.errors import InvalidEvent
from delivery.event import MAX_PAYLOAD_DEPTH, Event, _Beside, read_event, read_without_payload


def without(name: str) -> dict:
    return {key: value for key, value in event_fields().items() if key != name}


def deep(levels: int) -> dict:
    payload: dict = {}
    for _ in range(levels - 1):
        payload = {"a": payload}
    return payload


def test_the_three_required_fields_are_enough():
    minimal = {"workspace": WORKSPACE, "event": "user.signup", "payload": GOLDEN}
    read_in = read(minimal)
    assert read_in.id == EVENT_ID
    assert read_in.payload == GOLDEN
    assert read_in.resource == "global"
    assert read_in.resource_id is None
    assert read_in.timestamp == NOW
    assert read_in.only_rules is None
    assert read_in.test is False
    assert read_in.redelivery is None


@pytest.mark.parametrize(
    "name", ["resource", "resource_id", "timestamp", "only_rules", "test", "redelivery"]
)
def test_null_counts_as_absent_in_every_optional_field(name):
    assert read(event_fields(**{name: None})) == read(without(name))


def test_unknown_fields_are_ignored():
    assert read(event_fields(trace_id="abc", payloads=1)) == read(event_fields())


def test_bytes_and_the_value_they_hold_are_read_alike():
    fields = event_fields(only_rules=[RULE], resource_id="r-1")
    assert read_event(fields, event_id=EVENT_ID, started_at=NOW) == read(fields)


def test_an_event_can_not_be_changed():
    with pytest.raises(ValidationError):
        event().event = "another"


@pytest.mark.parametrize("value", [[], "text", 7, True, None])
def test_an_input_that_is_no_object_is_refused(value):
    with pytest.raises(InvalidEvent, match="must be one JSON object") as caught:
        read(value)
    assert caught.value.field == "input"


@pytest.mark.parametrize("name", ["workspace", "event", "payload"])
def test_a_missing_field_is_named(name):
    with pytest.raises(InvalidEvent, match="is missing") as caught:
        read(without(name))
    assert caught.value.field == name


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("workspace", "acme", "must be a UUID"),
        ("workspace", 7, "not a number"),
        ("workspace", None, "not null"),
        ("workspace", f"{{{WORKSPACE}}}", "must be a UUID"),
        ("workspace", WORKSPACE.replace("-", ""), "must be a UUID"),
        ("workspace", f"{WORKSPACE}\n", "must be a UUID"),
        ("event", 7, "must be a string"),
        ("event", " \t ", "blank"),
        ("event", "é" * 51, "102 bytes long, limit 100"),
        ("event", "a\nb", "control character"),
        ("event", "a\u2028b", "control character"),
        ("event", "signup of jo@example.com", "e-mail address"),
        ("resource", "jo@example.com", "e-mail address"),
        ("payload", [], "must be an object, not a list"),
        ("payload", "{}", "must be an object, not a string"),
        ("payload", None, "must be an object, not null"),
        ("payload", deep(MAX_PAYLOAD_DEPTH + 1), "deeper than 56"),
        ("resource", "", "blank"),
        ("resource", 1, "must be a string"),
        ("resource", "x" * 101, "101 bytes"),
        ("resource_id", "", "blank"),
        ("resource_id", 17, "not a number"),
        ("resource_id", "x" * 256, "256 bytes long, limit 255"),
        ("resource_id", "a\0b", "control character"),
        ("timestamp", 1764000000, "must be a string such as"),
        ("timestamp", "yesterday", "ISO 8601"),
        ("timestamp", "", "ISO 8601"),
        ("timestamp", "2026-11-23T18:00:00", "no offset"),
        ("timestamp", "2026-02-30T00:00:00Z", "does not exist"),
        ("timestamp", "1969-12-31T23:59:59.999Z", "before 1970"),
        ("timestamp", "1970-01-01T00:00:00+00:01", "before 1970"),
        ("timestamp", "0001-01-01T00:00:00+01:00", "years 1 to 9999"),
        ("timestamp", "9999-12-31T23:59:59-01:00", "years 1 to 9999"),
        ("only_rules", RULE, "must be a list"),
        ("only_rules", ["first"], "must be a UUID"),
        ("only_rules", [None], "must be a UUID"),
        ("only_rules", [RULE] * 101, "names 101 rules, limit 100"),
        ("test", "true", "must be true or false"),
        ("test", 1, "must be true or false"),
        ("redelivery", {}, "only by the service"),
        ("redelivery", "yes", "only by the service"),
    ],
)
def test_what_can_not_be_read_is_refused_by_field_and_reason(name, value, reason):
    with pytest.raises(InvalidEvent, match=reason) as caught:
        read(event_fields(**{name: value}))
    assert caught.value.field == name


@pytest.mark.parametrize("event_id", ["order-17", "", EVENT_ID[:-1], f"urn:uuid:{EVENT_ID}"])
def test_a_workflow_id_that_is_no_uuid_is_refused(event_id):
    with pytest.raises(InvalidEvent, match="must be a UUID") as caught:
        read(event_fields(), event_id=event_id)
    assert caught.value.field == "workflow id"


def test_ids_are_taken_in_either_case_and_kept_in_lower_case():
    read_in = read(
        event_fields(workspace=WORKSPACE.upper(), only_rules=[RULE.upper(), RULE]),
        event_id=EVENT_ID.upper(),
    )
    assert (read_in.id, read_in.workspace) == (EVENT_ID, WORKSPACE)
    assert read_in.only_rules == (RULE,)


def test_no_rules_named_is_not_the_same_as_all_rules():
    assert event(only_rules=[]).only_rules == ()


def test_blanks_around_names_are_cut_off_and_resource_ids_stay_as_they_are():
    read_in = event(event="  user.signup ", resource=" account ", resource_id=" 17 ")
    assert (read_in.event, read_in.resource) == ("user.signup", "account")
    assert read_in.resource_id == " 17 "


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-23T18:00:00.000Z", NOW),
        ("2026-11-23t18:00z", NOW),
        ("2026-11-23 20:00:00+02:00", NOW),
        ("2026-11-23T18:00:00.123456789Z", NOW + timedelta(microseconds=123456)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999Z", datetime(9999, 12, 31, 23, 59, 59, 999000, UTC)),
    ],
)
def test_a_timestamp_is_kept_in_utc(text, moment):
    read_in = event(timestamp=text)
    assert read_in.timestamp == moment
    assert read_in.timestamp.tzinfo is UTC


def test_without_a_timestamp_the_start_of_the_run_stands_for_it():
    ahead = NOW.astimezone(timezone(timedelta(hours=5)))
    data = json.dumps(without("timestamp")).encode()
    read_in = read_event(data, event_id=EVENT_ID, started_at=ahead)
    assert read_in.timestamp == NOW
    assert read_in.timestamp.tzinfo is UTC


def test_the_deepest_payload_taken_is_56_levels():
    assert event(deep(MAX_PAYLOAD_DEPTH)).payload


@pytest.mark.parametrize(
    "fields",
    [
        event_fields(event="hunter2\0"),
        event_fields(event="hunter2@example.com"),
        event_fields(workspace="hunter2"),
        event_fields(payload="hunter2"),
        event_fields(resource_id="hunter2\n"),
        event_fields(timestamp="hunter2"),
        event_fields(only_rules="hunter2"),
        event_fields(test="hunter2"),
        event_fields(redelivery={"accepted_at": "hunter2"}),
    ],
)
def test_a_refusal_never_holds_what_was_sent(fields):
    with pytest.raises(InvalidEvent) as caught:
        read(fields)
    assert "hunter2" not in str(caught.value)


def test_large_input_is_read_with_all_its_fields_but_the_payload() -> None:
    assert set(_Beside.model_fields) == set(Event.model_fields) - {"id", "payload"}
    fields = {
        "workspace": "5f0c6a1e-3c1b-4d7e-9a51-0d6f2b8c7e44",
        "event": " user.signup ",
        "payload": {"a": 1, "b": float("nan")},
        "resource": "account",
        "only_rules": [],
        "else": [1],
    }
    named = {"event_id": fields["workspace"], "started_at": datetime(2026, 11, 23, tzinfo=UTC)}
    read = read_without_payload(json.dumps(fields).encode(), **named)
    assert read == read_event({**fields, "payload": {}}, **named)
    for data in (b"[]", b"{", b"\xff", b'{"workspace":"\\ud800"}'):
        with pytest.raises(InvalidEvent, match="input"):
            read_without_payload(data, **named)
