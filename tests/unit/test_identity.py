"""Who an event is about: userId, else email, else anonymousId, else a generated id."""

from __future__ import annotations

import uuid

import pytest
from delivery_samples import EVENT_ID, RULE, build, mapping, path, rule, traits_of
from delivery_samples import event as sample_event

from delivery.errors import MappingError
from destinations.customerio.build import ANONYMOUS
from destinations.customerio.identity import IDENTIFIERS, resolve_identity
from destinations.registry import build_messages


def ids(payload: dict) -> dict:
    """The identifying fields, which both calls must share."""
    pair = build(payload)
    found = [
        {name: message.body[name] for name in ("userId", "anonymousId") if name in message.body}
        for message in (pair.messages[0], pair.messages[1])
    ]
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (
            {"userId": "u1", "email": "a@b.co", "anonymousId": "v1"},
            {"userId": "u1", "anonymousId": "v1"},
        ),
        ({"userId": "u1", "email": "a@b.co"}, {"userId": "u1"}),
        ({"email": "a@b.co", "anonymousId": "v1"}, {"userId": "a@b.co", "anonymousId": "v1"}),
        ({"email": "a@b.co"}, {"userId": "a@b.co"}),
        ({"anonymousId": "v1"}, {"anonymousId": "v1"}),
    ],
)
def test_user_id_before_email_before_anonymous_id(payload, expected):
    assert ids(payload) == expected


@pytest.mark.parametrize("absent", [None, "", " ", "\t\n", "\u00a0"])
def test_null_and_blank_identifiers_count_as_absent(absent):
    assert ids({"userId": absent, "email": "a@b.co"}) == {"userId": "a@b.co"}
    assert ids({"userId": absent, "email": absent, "anonymousId": "v1"}) == {"anonymousId": "v1"}


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (2048, "2048"),
        (0, "0"),
        (-1, "-1"),
        (2048.0, "2048"),
        (-0.0, "0"),
        (0.5, "0.5"),
        (12345678901234567890, "12345678901234567890"),
        (1e22, "1e+22"),
    ],
)
def test_numbers_become_strings(number, text):
    assert ids({"userId": number}) == {"userId": text}


@pytest.mark.parametrize("name", IDENTIFIERS)
@pytest.mark.parametrize(
    ("value", "kind"), [(True, "a boolean"), ({"id": 1}, "an object"), (["u1"], "a list")]
)
def test_any_other_kind_is_no_identifier(name, value, kind):
    with pytest.raises(MappingError, match=f"is {kind}; an identifier is") as caught:
        build({"userId": "u1", name: value})
    assert caught.value.field == name


def test_an_identifier_is_sent_as_it_is():
    for text in (" Usr/2048+a@b ", "ÄÖ-😀", "null"):
        assert ids({"userId": text}) == {"userId": text}


def test_the_generated_id_is_the_same_each_time_and_another_for_each_event_and_rule():
    expected = str(uuid.uuid5(uuid.UUID(EVENT_ID), RULE))
    assert ids({"plan": "pro"}) == ids({"plan": "basic"}) == {"anonymousId": expected}
    other_event, other_rule = "00000000-0000-4000-8000-000000000001", "another-rule"
    made = {
        resolve_identity({}, event_id=event, rule_id=rule, checked=checked).anonymous_id
        for event in (EVENT_ID, other_event)
        for rule in (RULE, other_rule)
        for checked in (False, True)
    }
    assert len(made) == 4


def test_an_anonymous_delivery_says_that_traits_are_ignored():
    assert ANONYMOUS in build({"plan": "pro"}).warnings
    assert ANONYMOUS in build({"anonymousId": "v1"}).warnings
    assert ANONYMOUS not in build({"email": "a@b.co"}).warnings


def test_email_is_a_trait_whether_or_not_it_identifies():
    assert traits_of(build({"email": "a@b.co"})) == {"email": "a@b.co"}
    assert traits_of(build({"userId": "u1", "email": "a@b.co"})) == {"email": "a@b.co"}
    assert traits_of(build({"userId": "u1", "email": " "})) == {}


def test_a_stored_mapping_says_where_identifiers_are():
    stored = mapping(path("userId", "account.id"), path("email", "contact", {"type": "lower"}))
    payload = {"userId": "wrong", "account": {"id": 17}, "contact": "Jo@Example.com"}
    pair = build_messages(sample_event(payload), rule(mapping=stored))
    assert pair.messages[1].body["userId"] == "17"
    assert traits_of(pair)["email"] == "jo@example.com"
