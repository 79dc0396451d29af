"""Properties of an event at Customer.io: the rule's choice, by build 3."""

from __future__ import annotations

from typing import Any

import pytest
from delivery_samples import GOLDEN, mapping, path
from delivery_samples import build as build_by

from delivery.errors import InvalidField, MappingError
from delivery.message import Messages
from destinations.customerio.guards import MAX_BODY
from destinations.customerio.properties import NOT_YET, RESERVED
from destinations.registry import read_metadata

ORDER: dict[str, Any] = {**GOLDEN, "total": 49.9, "items": [{"sku": "A1"}], "coupon": None}


def build(payload: dict[str, Any], properties: Any = "payload", **options: Any) -> Messages:
    return build_by(payload, build=3, track_properties=properties, **options)


def properties_of(pair: Messages) -> Any:
    return pair.messages[1].body.get("properties")


def read(given: Any) -> Any:
    metadata = {"action": "track_event", "track_properties": given}
    return read_metadata("customer_io", metadata)["track_properties"]


def test_event_carries_none_unless_the_rule_says_so() -> None:
    plain = build_by(ORDER, build=3)
    assert properties_of(plain) is None
    assert plain.messages == build_by(ORDER, build=3, track_properties="none").messages
    before = build_by(ORDER, build=2)
    assert [one.encode() for one in plain.messages] == [one.encode() for one in before.messages]


def test_payload_is_carried_except_who_the_person_is() -> None:
    pair = build({**ORDER, "event_name_override": "Paid"})
    assert properties_of(pair) == {
        "first_name": "Test",
        "last_name": "User",
        "plan": "pro",
        "total": 49.9,
        "items": [{"sku": "A1"}],
    }
    assert (
        pair.messages[0] == build_by({**ORDER, "event_name_override": "Paid"}, build=3).messages[0]
    )


def test_key_that_is_mapped_to_an_identifier_is_not_carried_with_the_payload() -> None:
    stored = mapping(path("userId", "account"), path("tier", "plan"), path("email", "who.email"))
    payload = {"account": "u1", "plan": "pro", "who": {"email": "jo@example.com"}}
    assert properties_of(build(payload, mapping=stored)) == {
        "plan": "pro",
        "who": {"email": "jo@example.com"},
    }


def test_only_the_named_keys_are_carried_in_the_order_of_the_payload() -> None:
    assert list(properties_of(build(ORDER, ["total", "plan", "missing"])).items()) == [
        ("plan", "pro"),
        ("total", 49.9),
    ]
    assert properties_of(build(ORDER, ["missing"])) is None


def test_null_is_carried_only_if_the_rule_sends_nulls() -> None:
    assert properties_of(build(ORDER, ["coupon"], send_nulls=True)) == {"coupon": None}


@pytest.mark.parametrize("name", ["from_address", "recipient", "reply_to"])
@pytest.mark.parametrize("chosen", ["payload", ["recipient", "from_address", "reply_to", "total"]])
def test_property_that_would_redirect_a_campaign_is_left_out_with_a_warning(
    name: str, chosen: Any
) -> None:
    assert name in RESERVED
    pair = build({"userId": "u1", "total": 1, name: "eve@example.com"}, chosen)
    assert properties_of(pair) == {"total": 1}
    [warning] = pair.warnings
    assert warning.startswith(f"{name}: left out of the event")
    assert "eve@" not in warning


def test_track_beyond_32_000_bytes_fails_or_loses_its_largest_properties() -> None:
    """A trait has at most 1,000 bytes, so one that is mapped away from the traits is tried."""
    stored = mapping(path("userId", "userId"), path("event_name_override", "long"))
    payload = {"userId": "u1", "total": 1, "long": "x" * MAX_BODY}
    cut = mapping(
        path("userId", "userId"),
        path("short", "long", {"type": "substring", "start": 0, "length": 5}),
    )
    with pytest.raises(MappingError, match="event name"):
        build(payload, mapping=stored)
    with pytest.raises(MappingError, match="track: the request is 32,"):
        build(payload, mapping=cut)
    pair = build(payload, mapping=cut, on_limit="drop")
    assert properties_of(pair) == {"total": 1}
    assert pair.warnings == ("long: left out, since the request would be too large",)
    room = MAX_BODY - len(build({**payload, "long": ""}, mapping=cut).messages[1].encode())
    fits = build({**payload, "long": "x" * room}, mapping=cut)
    assert len(fits.messages[1].encode()) == MAX_BODY


def test_property_that_cannot_be_stored_fails_the_delivery_or_is_left_out() -> None:
    payload = {"userId": "u1", "total": 1, "note": {"text": "a\0b"}}
    stored = mapping(path("userId", "userId"), path("x", "note.none"), path("note", "total"))
    with pytest.raises(MappingError, match="property note: holds a NUL"):
        build(payload, mapping=stored)
    pair = build(payload, mapping=stored, on_limit="drop")
    assert properties_of(pair) == {"total": 1}
    assert pair.warnings == (
        "note: left out of the event, since it holds a NUL character; remove it",
    )


@pytest.mark.parametrize("number", [1, 2])
def test_earlier_build_carries_none_and_says_so(number: int) -> None:
    pair = build_by(ORDER, build=number, track_properties="payload")
    assert properties_of(pair) is None
    assert NOT_YET in pair.warnings


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("none", "none"),
        ("payload", "payload"),
        ("total", ("total",)),
        (" total, currency ,total,", ("total", "currency")),
        (["payload"], ("payload",)),
        (["order total"], ("order total",)),
        ("", "none"),
        ([], "none"),
        ([" "], "none"),
    ],
)
def test_choice_is_read_from_text_and_from_a_list(given: Any, stored: Any) -> None:
    assert read(given) == stored


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (7, "must be none, payload, or keys of the payload"),
        (None, "must be none, payload, or keys"),
        ([1], "must be none, payload, or keys"),
        ([str(n) for n in range(101)], "names 101 keys, must name at most 100"),
        (["x" * 129], "names a key of more than 128 characters"),
    ],
)
def test_choice_that_cannot_be_read_is_refused_by_name(given: Any, fault: str) -> None:
    with pytest.raises(InvalidField) as caught:
        read(given)
    assert caught.value.field == "track_properties"
    assert fault in caught.value.problem
