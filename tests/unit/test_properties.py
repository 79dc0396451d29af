"""Whatever JSON comes in, two valid messages go out, or a clear refusal that gives nothing away."""

from __future__ import annotations

import json
from typing import Any

from delivery_samples import event_fields, mapping, read, rule
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from delivery.errors import InvalidEvent, MappingError
from delivery.mapping_schema import MappingSchema
from delivery.message import Message, Messages, encode_value
from delivery.rule import MatchedRule
from delivery.strict_json import parse
from delivery.timestamps import read_iso
from destinations.customerio.build import MAX_WARNINGS
from destinations.customerio.builds import BUILDS
from destinations.customerio.guards import COMMANDS
from destinations.customerio.identity import NOT_AN_ADDRESS
from destinations.registry import build_messages

modest = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])

SECRET = "hunter2"
SECRET_NUMBER = 80808080808
SECRETS = (SECRET, str(SECRET_NUMBER))

KEYS = st.sampled_from(
    [
        "userId",
        "email",
        "anonymousId",
        "event_name_override",
        "id",
        "cio_id",
        "plan",
        "at",
        "user",
        " ",
        "",
        "jo@example.com",
    ]
) | st.text(max_size=8)
TEXTS = st.text(max_size=20) | st.sampled_from(
    ["", " ", "\0", "cio_1", "User Deleted", "2026-11-23", "x" * 1_001, "é" * 80, "\\u0000", "-0"]
)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.none() | st.booleans() | NUMBERS | TEXTS | st.just(10**308) | st.just(-(10**30))


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4)


JSON = st.recursive(PLAIN, containers, max_leaves=12)
PAYLOADS = st.dictionaries(KEYS, JSON, max_size=8)

PATHS = st.sampled_from(["userId", "email", "plan", "at", "user.id", "user.0.email", "a.b.c"])
TRANSFORMS = st.one_of(
    st.sampled_from(["to_string", "to_number", "to_boolean", "trim", "lower", "upper"]).map(
        lambda kind: {"type": kind}
    ),
    st.builds(
        lambda kind, zone: {"type": kind, "timezone": zone},
        st.sampled_from(["to_date", "to_datetime"]),
        st.sampled_from([None, "UTC", "Europe/Berlin", "America/New_York", "No/Where", ""]),
    ),
    st.builds(
        lambda start, length: {"type": "substring", "start": start, "length": length},
        st.integers(0, 5),
        st.none() | st.integers(1, 5),
    ),
    st.sampled_from(["x", 0, False, None]).map(lambda value: {"type": "default", "value": value}),
)
FIELDS = st.fixed_dictionaries(
    {
        "dest": st.sampled_from(["userId", "email", "anonymousId", "event_name_override", "id"])
        | st.text(min_size=1, max_size=8),
        "source": PATHS.map(lambda value: {"type": "path", "value": value})
        | st.sampled_from(["x", 1, 0.5, None, True]).map(
            lambda value: {"type": "literal", "value": value}
        ),
        "transforms": st.lists(TRANSFORMS, max_size=3),
        "on_error": st.sampled_from(["skip_field", "warn_action", "fail_action"]),
    }
)
MAPPINGS: st.SearchStrategy[MappingSchema | None] = st.none() | st.lists(FIELDS, max_size=6).map(
    lambda fields: mapping(*fields)
)
RULES = st.builds(
    lambda stored, **metadata: rule(mapping=stored, **metadata),
    MAPPINGS,
    build=st.sampled_from(sorted(BUILDS)),
    on_limit=st.sampled_from(["fail", "drop"]),
    send_nulls=st.booleans(),
    event_name_override=st.none() | st.sampled_from(["Signed Up", "", "user deleted", "é" * 51]),
)


def built(payload: dict[str, Any], by: MatchedRule) -> Messages | MappingError | InvalidEvent:
    """What a payload comes to. Any other exception is a fault, and fails the test."""
    try:
        return build_messages(read(event_fields(payload=payload)), by)
    except (MappingError, InvalidEvent) as refusal:
        return refusal


def size(text: str) -> int:
    return len(text.encode())


def assert_within_limits(pair: Messages) -> None:
    """The vendor's limits and the project's own promises, told anew and not by the guards."""
    identify, track = pair.messages[0].body, pair.messages[1].body
    for message in (pair.messages[0], pair.messages[1]):
        assert size(message.encode().decode()) <= 32_000
        assert json.loads(message.encode()) == message.body
    assert set(identify) - {"userId", "anonymousId"} == {
        *("traits", "timestamp", "messageId", "context")
    }
    assert set(track) - {"userId", "anonymousId"} == {"event", "timestamp", "messageId", "context"}
    identifiers = [name for name in ("userId", "anonymousId") if name in identify]
    assert identifiers
    for name in identifiers:
        text = identify[name]
        assert track[name] == text
        assert isinstance(text, str)
        assert text.strip()
        assert size(text) <= 150
        assert not text.startswith("cio_")
    name = track["event"]
    assert isinstance(name, str)
    assert name.strip()
    assert size(name) <= 100
    assert name.strip().casefold() not in COMMANDS
    traits = identify["traits"]
    assert isinstance(traits, dict)
    assert len(traits) <= 300
    for trait, value in traits.items():
        assert trait.strip()
        assert size(trait) <= 150
        assert size(value if isinstance(value, str) else encode_value(value)) <= 1_000
    assert not {"userId", "anonymousId", "event_name_override"} & set(traits)
    for body in (identify, track):
        assert isinstance(body["messageId"], str)
        assert len(body["messageId"]) == 26
        assert read_iso(str(body["timestamp"]))
        assert "\0" not in "".join(texts(body))
    assert len(pair.warnings) <= MAX_WARNINGS


def texts(value: JsonValue) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [*value, *(text for inner in value.values() for text in texts(inner))]
    if isinstance(value, list):
        return [text for inner in value for text in texts(inner)]
    return []


@modest
@given(PAYLOADS, RULES)
def test_any_payload_gives_two_valid_messages_or_a_clear_refusal(payload, by):
    result = built(payload, by)
    if isinstance(result, Messages):
        assert_within_limits(result)
    else:
        assert str(result) == f"{result.field}: {result.reason}"
        assert result.field
        assert result.reason


@modest
@given(st.dictionaries(st.text(max_size=12), st.text(max_size=1_100) | JSON, max_size=60))
def test_a_rule_that_drops_delivers_whatever_can_be_identified(payload):
    named = {"userId": "u1"}
    others = {key: payload[key] for key in payload if key not in ("email", "anonymousId")}
    others.pop("event_name_override", None)
    result = built({**others, **named}, rule(on_limit="drop"))
    assert isinstance(result, Messages)
    assert_within_limits(result)


@modest
@given(PAYLOADS, RULES)
def test_bytes_are_the_same_each_time_they_are_built_and_after_the_engine_kept_them(payload, by):
    first, second = built(payload, by), built(payload, by)
    if not isinstance(first, Messages):
        assert str(first) == str(second)
        return
    assert isinstance(second, Messages)
    kept_rule = MatchedRule.model_validate_json(by.model_dump_json())
    third = built(payload, kept_rule)
    assert isinstance(third, Messages)
    for call in ("identify", "track"):
        message: Message = first.messages[call == "track"]
        for again in (
            second.messages[call == "track"],
            third.messages[call == "track"],
            Message.model_validate_json(message.model_dump_json()),
        ):
            assert again.encode() == message.encode()


@modest
@given(PAYLOADS, RULES)
def test_second_build_reads_identifiers_otherwise_and_nothing_else(payload, by):
    first, second = (built(payload, by.model_copy(update={"build": build})) for build in (1, 2))
    if not isinstance(first, Messages) or not isinstance(second, Messages):
        return
    for call in ("identify", "track"):
        old, new = first.messages[call == "track"].body, second.messages[call == "track"].body
        assert list(old) == list(new) or NOT_AN_ADDRESS in second.warnings
        for name in old.keys() - {"userId", "anonymousId", "context", "traits"}:
            assert old[name] == new[name]
        if NOT_AN_ADDRESS not in second.warnings:
            for name in ("userId", "anonymousId"):
                assert str(old.get(name)).strip() == str(new.get(name))
    before, after = dict(first.messages[0].body["traits"]), dict(second.messages[0].body["traits"])
    email, kept = before.pop("email", None), after.pop("email", None)
    assert before == after
    assert kept in (email, None) or kept == str(email).strip()
    lost = set(first.warnings) - set(second.warnings)
    assert all(warning.startswith("email: left out") for warning in lost)


def marked(value: JsonValue) -> JsonValue:
    """The same shape with every value a secret one; keys stay."""
    if isinstance(value, dict):
        return {key: marked(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [marked(inner) for inner in value]
    if isinstance(value, str):
        return f"{value}{SECRET}{value}"
    if isinstance(value, bool) or value is None:
        return value
    return SECRET_NUMBER if isinstance(value, int) else float(SECRET_NUMBER) * 1e200


@modest
@given(PAYLOADS, RULES)
def test_neither_errors_nor_warnings_hold_a_value_of_the_payload(payload, by):
    result = built(marked(payload), by)
    told = result.warnings if isinstance(result, Messages) else (str(result),)
    for text in told:
        for secret in (*SECRETS, "8.0808"):
            assert secret not in text
        assert "jo@example.com" not in text
        assert len(text) < 400


def refusal_of(data: Any) -> str:
    """What an input is refused with; empty when it is read."""
    try:
        read(data)
    except InvalidEvent as refusal:
        return str(refusal)
    return ""


@modest
@given(
    st.dictionaries(
        st.sampled_from(
            [*event_fields(), "resource", "resource_id", "test", "only_rules", "redelivery"]
        ),
        JSON.map(marked),
    )
)
def test_an_input_of_any_fields_is_read_or_refused_without_a_value(changes):
    told = refusal_of(event_fields(**changes))
    for secret in SECRETS:
        assert secret not in told


@modest
@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()[:-1]))
def test_any_bytes_that_are_no_event_are_refused(data):
    assert refusal_of(data)


@modest
@given(JSON)
def test_json_survives_any_number_of_round_trips(value):
    once = encode_value(parse(json.dumps(value).encode()))
    assert once == encode_value(value)
    assert encode_value(parse(once.encode())) == once
