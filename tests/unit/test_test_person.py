"""Test events are about the test person, wherever a mapping looks for the person."""

from __future__ import annotations

import json
from typing import Any

import pytest
from delivery_samples import mapping, path

from delivery.mapping_schema import MappingSchema
from delivery.people import identifiers
from starter.test_person import (
    TEST_PERSON,
    about_test_person,
    is_about_test_person,
    sample_payload,
)

USUAL = mapping(path("userId", "userId"), path("email", "email"))
NESTED = mapping(path("userId", "user.id"), path("email", "contacts.0.address"))


@pytest.mark.parametrize(
    ("payload", "schema"),
    [
        ({"userId": "usr_2048", "email": "ann@example.com", "plan": "pro"}, USUAL),
        ({"user": {"id": 7}, "contacts": [{"address": "ann@example.com"}], "seats": 7}, NESTED),
        ({"userId": "usr_2048", "user": {"id": "other"}, "by": ["ann@example.com"]}, NESTED),
    ],
)
def test_real_person_is_replaced_and_all_else_stays(
    payload: dict[str, Any], schema: MappingSchema
) -> None:
    before = json.dumps(payload)
    replaced = about_test_person(payload, schema)
    assert json.dumps(payload) == before
    assert {text for _, text in identifiers(replaced)} <= set(TEST_PERSON.values())
    assert replaced.get("plan") == payload.get("plan")
    assert replaced.get("seats") == payload.get("seats")
    assert replaced.keys() == payload.keys()


def test_no_address_of_anybody_is_left() -> None:
    payload = {"cc": ["bob@example.com", "x"], "email": {"address": "ann@example.com"}}
    test = TEST_PERSON["email"]
    assert about_test_person(payload, USUAL) == {"cc": [test, "x"], "email": {"address": test}}


def test_payload_without_a_person_gets_none() -> None:
    assert about_test_person({"total": 5, "userId": None}, USUAL) == {"total": 5, "userId": None}


def test_sample_names_the_test_person_where_the_mapping_looks() -> None:
    assert sample_payload(NESTED)["user"] == {"id": TEST_PERSON["userId"]}
    assert is_about_test_person(json.dumps(sample_payload(NESTED)))
    assert not is_about_test_person('{"userId": "usr_2048"}')
