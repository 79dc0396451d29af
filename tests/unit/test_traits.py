"""Every payload key that nothing else has taken is a trait; what is left out is told."""

from __future__ import annotations

import pytest
from delivery_samples import build, event, mapping, path, rule, traits_of

from delivery.errors import MappingError
from destinations.customerio.traits import RESERVED, without_largest
from destinations.registry import build_messages


def test_all_other_top_level_keys_are_traits_as_they_are():
    payload = {
        "plan": "pro",
        "seats": 12,
        "ratio": 0.5,
        "trial": False,
        "signed_up": "2026-11-23T18:00:00Z",
        "day": "2026-11-23",
        "address": {"city": "Łódź", "lines": ["a", None]},
        "tags": [],
        "text": "",
    }
    assert traits_of(build({"userId": "u1", **payload})) == payload


def test_names_and_identifiers_are_no_traits():
    payload = {"userId": "u1", "anonymousId": "v1", "event_name_override": "Joined", "plan": "pro"}
    assert traits_of(build(payload)) == {"plan": "pro"}


def test_they_are_none_even_where_a_stored_mapping_passes_them_over():
    stored = mapping(path("userId", "account"))
    payload = {"account": "u1", "userId": "x", "anonymousId": "y", "event_name_override": "z"}
    assert traits_of(build(payload, mapping=stored)) == {}


def test_nulls_are_dropped_unless_the_rule_sends_them():
    payload = {"userId": "u1", "email": None, "plan": None, "seats": 1}
    assert traits_of(build(payload)) == {"seats": 1}
    assert traits_of(build(payload, send_nulls=True)) == {"plan": None, "seats": 1}


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_reserved_trait_is_left_out_with_a_warning(name):
    pair = build({"userId": "u1", name: "order_17", "plan": "pro"})
    assert traits_of(pair) == {"plan": "pro"}
    assert [warning for warning in pair.warnings if warning.startswith(f"{name}: left out")]


@pytest.mark.parametrize(
    "name",
    ["id", "cio_id", "anonymous_id", "_update", "_timestamp", "_created_in_customerio_at"],
)
def test_traits_that_would_command_the_person_are_reserved(name):
    assert name in RESERVED


def test_a_reserved_trait_is_sent_when_a_mapping_names_it():
    stored = mapping(path("userId", "userId"), path("id", "id"))
    pair = build_messages(event({"userId": "u1", "id": "order_17"}), rule(mapping=stored))
    assert traits_of(pair) == {"id": "order_17"}
    assert pair.warnings == ()


def test_a_mapped_key_is_a_trait_under_its_new_name_alone():
    stored = mapping(
        path("userId", "uid"),
        path("company", "org"),
        path("city", "address.city"),
        path("plan", "tier"),
    )
    payload = {
        "uid": "u1",
        "org": "Acme",
        "address": {"city": "Łódź"},
        "tier": "gold",
        "plan": "x",
        "seats": 3,
    }
    assert traits_of(build_messages(event(payload), rule(mapping=stored))) == {
        "address": {"city": "Łódź"},
        "seats": 3,
        "company": "Acme",
        "city": "Łódź",
        "plan": "gold",
    }


def test_an_email_that_is_not_mapped_stays_a_trait():
    stored = mapping(path("userId", "userId"))
    payload = {"userId": "u1", "email": "a@b.co"}
    assert traits_of(build(payload, mapping=stored)) == {"email": "a@b.co"}


def test_traits_keep_the_order_of_the_payload():
    payload = {"z": 1, "userId": "u1", "a": 2, "email": "a@b.co", "m": 3}
    assert list(traits_of(build(payload))) == ["email", "z", "a", "m"]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"bio": "x" * 1_001}, "trait bio: is 1,001 bytes long, limit 1,000"),
        ({"é" * 76: 1}, "has a name of 152 bytes, limit 150"),
        ({" ": 1}, "has a blank name"),
        ({"bio": "a\0b"}, "trait bio: holds a NUL"),
        ({f"t{i}": i for i in range(301)}, "traits: are 301, Customer.io accepts 300"),
    ],
)
def test_a_trait_beyond_a_limit_fails_the_delivery_or_is_dropped_as_the_rule_says(payload, reason):
    with pytest.raises(MappingError, match=reason):
        build({"userId": "u1", **payload})
    pair = build({"userId": "u1", **payload}, on_limit="drop")
    assert len(traits_of(pair)) == len(payload) - 1
    assert len(pair.warnings) == 1


def test_a_request_beyond_32_000_bytes_fails_or_loses_its_largest_traits():
    payload = {"userId": "u1", "email": "a@b.co", **{f"t{i:03}": "x" * 700 for i in range(50)}}
    payload["t007"] = "y" * 900
    with pytest.raises(MappingError, match=r"identify: the request is 3\d,\d{3} bytes long"):
        build(payload)
    pair = build(payload, on_limit="drop")
    assert len(pair.messages[0].encode()) <= 32_000
    kept = traits_of(pair)
    assert kept["email"] == "a@b.co"
    # The largest goes first, then of equal ones the last; no more than need be.
    dropped = {"t007"} | {f"t{i:03}" for i in range(len(kept), 50)}
    assert set(payload) - {"userId"} - set(kept) == dropped
    assert len(pair.messages[0].encode()) + 700 > 32_000
    assert all("would be too large" in warning for warning in pair.warnings)


def test_the_email_stays_even_where_it_is_the_largest_trait():
    email = "e" * 140 + "@b.co"
    pair = build(
        {"userId": "u1", "email": email, **{f"t{i:03}": "x" * 115 for i in range(299)}},
        on_limit="drop",
    )
    assert traits_of(pair)["email"] == email
    assert pair.warnings


def test_the_email_is_the_last_trait_to_go():
    traits = {"email": "a@b.co" * 100, "plan": "pro", "seats": 1}
    kept, told = without_largest(traits, 10_000, keep=("email",))
    assert list(kept) == ["email"]
    assert len(told) == 2


def test_warnings_are_few_however_much_is_left_out():
    payload = {"userId": "u1", **{f"t{i}": "x" * 1_001 for i in range(200)}}
    warnings = build(payload, on_limit="drop").warnings
    assert len(warnings) == 20
    assert warnings[-1] == "and 181 more warnings"
