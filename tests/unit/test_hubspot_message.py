"""What is sent to HubSpot: one contact, found by its address, then one membership or event."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from delivery.errors import InvalidField, MappingError
from delivery.message import Message, Messages
from delivery.rule import MatchedRule
from destinations.registry import BY_TYPE, build_messages
from tests.unit.delivery_samples import event, mapping, rule_of

SCHEMAS = Path(__file__).parents[1] / "contract" / "schemas" / "hubspot.json"
HUBSPOT = BY_TYPE["hubspot"]
EVENT = "pe1234567_signed_up"
PERSON = {"email": "Test@Example.com", "firstname": "Łódź", "plan": "pro"}


def hubspot_rule(action: str, **metadata: Any) -> MatchedRule:
    return rule_of("hubspot", action=action, **metadata)


def built(payload: dict[str, Any], action: str, **metadata: Any) -> Messages:
    return build_messages(event(payload), hubspot_rule(action, **metadata))


def contact(message: Message) -> dict[str, Any]:
    [found] = json.loads(message.encode())["inputs"]
    return dict(found)


def test_an_upsert_names_the_contact_by_its_address_and_sends_only_what_is_mapped() -> None:
    [identify] = built(PERSON, "update_property", id="lifecyclestage", value="lead").messages
    assert identify.call == "identify"
    assert contact(identify) == {
        "id": "test@example.com",
        "idProperty": "email",
        "properties": {"firstname": "Łódź", "lifecyclestage": "lead"},
    }


@pytest.mark.parametrize(
    ("action", "change"), [("add_to_list", "add"), ("remove_from_list", "remove")]
)
def test_a_membership_is_changed_after_the_contact_is_stored(action: str, change: str) -> None:
    identify, track = built(PERSON, action, id="5").messages
    assert contact(identify)["properties"] == {"firstname": "Łódź"}
    assert track.call == "track"
    assert track.body == {"email": "test@example.com", "list": "5", "change": change}


def test_an_event_has_the_time_and_an_id_of_its_own_that_stays() -> None:
    _, track = built(PERSON, "track_event", id=EVENT, event_properties="plan, seats").messages
    assert track.body["eventName"] == EVENT
    assert track.body["properties"] == {"plan": "pro"}
    assert track.body["occurredAt"] == "2026-11-23T18:00:00.000Z"
    _, again = built(PERSON, "track_event", id=EVENT).messages
    assert again.body["uuid"] == track.body["uuid"]
    other = hubspot_rule("track_event", id=EVENT).model_copy(update={"id": "another-rule"})
    _, of_another = build_messages(event(PERSON), other).messages
    assert of_another.body["uuid"] != track.body["uuid"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("pro", "pro"),
        (7, "7"),
        (1.5, "1.5"),
        (True, "true"),
        ("", ""),
        (["a", 2, None, True], "a;2;true"),
    ],
)
def test_values_are_strings_and_several_choices_are_joined(value: Any, text: str) -> None:
    _, track = built(
        {**PERSON, "plan": value}, "track_event", id=EVENT, event_properties="plan"
    ).messages
    assert track.body["properties"] == {"plan": text}


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ({}, "email: has no value"),
        ({"email": " "}, "email: has no value"),
        ({"email": 7}, "email: is a number"),
        ({"email": "nobody"}, "email: is not an e-mail address"),
        ({"email": "a@b"}, "email: is not an e-mail address"),
        ({"email": "a b@example.com"}, "email: is not an e-mail address"),
        ({"email": "a" * 250 + "@example.com"}, "email: has 262 characters"),
        ({"email": "a@b.test", "firstname": {"a": 1}}, "firstname: is an object"),
        ({"email": "a@b.test", "firstname": [["a"]]}, "firstname: is a list of"),
        ({"email": "a@b.test", "firstname": "x" * 65_537}, "firstname: has 65,537 characters"),
        ({"email": "a@b.test", "firstname": "a\0b"}, "firstname: holds a NUL"),
    ],
)
def test_what_hubspot_would_refuse_is_not_sent(payload: dict[str, Any], told: str) -> None:
    with pytest.raises(MappingError, match=re.escape(told)) as failure:
        built(payload, "add_to_list", id="5")
    for value in ("nobody", "a b@example.com", "xxxx"):
        assert value not in str(failure.value)


def test_a_field_is_mapped_to_a_property_by_its_internal_name() -> None:
    chosen = hubspot_rule("add_to_list", id="5")
    named = mapping(
        {"dest": "email", "source": {"type": "path", "value": "email"}},
        {"dest": "plan", "source": {"type": "path", "value": "plan"}},
    )
    identify, _ = build_messages(
        event(PERSON), chosen.model_copy(update={"mapping": named})
    ).messages
    assert contact(identify)["properties"] == {"plan": "pro"}
    wrong = mapping(
        {"dest": "email", "source": {"type": "path", "value": "email"}},
        {"dest": "Plan", "source": {"type": "path", "value": "plan"}},
    )
    with pytest.raises(MappingError, match="Plan: is not the internal name of a HubSpot property"):
        build_messages(event(PERSON), chosen.model_copy(update={"mapping": wrong}))


@pytest.mark.parametrize("action", [one.key for one in HUBSPOT.actions])
def test_every_action_s_messages_are_as_their_schema_describes_them(action: str) -> None:
    metadata = {
        "update_property": {"id": "plan", "value": "pro"},
        "track_event": {"id": EVENT, "event_properties": "plan"},
    }
    messages = built(PERSON, action, **metadata.get(action, {"id": "5"})).messages
    schemas = json.loads(SCHEMAS.read_text())
    for message in messages:
        jsonschema_rs.validate(schemas[message.call], message.body)
    found = HUBSPOT.action(action)
    assert found is not None
    assert tuple(message.call for message in messages) == found.calls


def test_a_key_for_anonymous_visitors_stores_no_contact() -> None:
    chosen = hubspot_rule("add_to_list", id="5").model_copy(update={"anonymous_only": True})
    for payload in ({"email": "a@b.test"}, {"anonymousId": "anon_1"}):
        with pytest.raises(MappingError, match="for anonymous visitors only"):
            build_messages(event(payload), chosen)


@pytest.mark.parametrize(
    ("action", "metadata", "told"),
    [
        ("add_to_list", {"id": "News"}, "id: must be a list's id"),
        ("add_to_list", {"id": "5/../6"}, "id: must be a list's id"),
        ("remove_from_list", {}, "id: is missing"),
        ("update_property", {"id": "plan"}, "value: is missing"),
        ("update_property", {"id": "Plan", "value": "pro"}, "id: must be a property's internal"),
        ("update_property", {"id": "email", "value": "a@b.test"}, "id: must not be email"),
        ("update_property", {"id": "plan", "value": "x" * 65_537}, "value: must have at most"),
        ("track_event", {"id": "signed_up"}, "id: must be an event's internal name"),
        ("track_event", {"id": EVENT, "event_properties": "Plan"}, "event_properties: names Plan"),
        (
            "track_event",
            {"id": EVENT, "event_properties": ",".join(f"p{n}" for n in range(51))},
            "event_properties: names 51 keys",
        ),
    ],
)
def test_a_rule_that_can_t_be_delivered_is_refused_on_saving(
    action: str, metadata: dict[str, str], told: str
) -> None:
    found = HUBSPOT.action(action)
    assert found is not None
    with pytest.raises(InvalidField, match=re.escape(told)):
        found.read_metadata({"action": action, **metadata})


def test_keys_that_a_rule_names_are_stored_once_each() -> None:
    found = HUBSPOT.action("track_event")
    assert found is not None
    named = {"action": "track_event", "id": EVENT, "event_properties": " plan ,seats,,plan"}
    assert found.read_metadata(named)["event_properties"] == "plan, seats"


@pytest.mark.parametrize("token", ["", " ", "pat 1", "pat-1\n2", "pat-é", "x" * 513])
def test_a_malformed_token_is_refused_without_repeating_it(token: str) -> None:
    with pytest.raises(InvalidField) as failure:
        HUBSPOT.read_fields({"access_token": token})
    assert not token.strip() or token not in str(failure.value)
    assert HUBSPOT.read_fields({"access_token": " pat-1 "}) == {"access_token": "pat-1"}


def test_the_rules_of_the_docs_are_valid() -> None:
    page = (Path(__file__).parents[2] / "docs" / "hubspot.md").read_text()
    examples = [json.loads(found) for found in re.findall(r"```json\n(.*?)```", page, re.S)]
    assert {one["action"] for one in examples} == {one.key for one in HUBSPOT.actions}
    for example in examples:
        action = HUBSPOT.action(example["action"])
        assert action is not None
        assert action.read_metadata(example) == example
