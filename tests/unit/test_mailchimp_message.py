"""What is sent to Mailchimp: one contact with its status in an audience, then one event."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from delivery.errors import InvalidField, MappingError
from delivery.message import Messages
from delivery.rule import MatchedRule
from destinations.registry import BY_TYPE, build_messages
from tests.unit.delivery_samples import event, mapping, path, rule_of

SCHEMAS = Path(__file__).parents[1] / "contract" / "schemas" / "mailchimp.json"
MAILCHIMP = BY_TYPE["mailchimp"]
NEWS = "a1b2c3d4e5"
KEY = "0123456789abcdef-us6"
PERSON = {"email": " Test@Example.com ", "FNAME": "Łódź", "plan": "pro"}
MAPPED = mapping(path("email", "email"), path("FNAME", "FNAME"), path("PLAN", "plan"))


def mailchimp_rule(action: str, **metadata: Any) -> MatchedRule:
    return rule_of("mailchimp", **{"action": action, "id": NEWS, **metadata})


def built(payload: dict[str, Any], action: str, **metadata: Any) -> Messages:
    return build_messages(event(payload), mailchimp_rule(action, **metadata))


def mapped(payload: dict[str, Any], *fields: dict[str, Any]) -> dict[str, Any]:
    chosen = mailchimp_rule("add_to_list").model_copy(
        update={"mapping": mapping(path("email", "email"), *fields)}
    )
    [identify] = build_messages(event(payload), chosen).messages
    return dict(json.loads(identify.encode())["member"])


@pytest.mark.parametrize(
    ("action", "status"), [("add_to_list", "subscribed"), ("remove_from_list", "unsubscribed")]
)
def test_a_change_of_status_is_one_message_that_says_it_for_new_and_known_contacts(
    action: str, status: str
) -> None:
    [identify] = built(PERSON, action).messages
    assert identify.call == "identify"
    assert identify.body == {
        "list_id": NEWS,
        "member": {
            "email_address": "test@example.com",
            "status_if_new": status,
            "status": status,
        },
    }


def test_an_event_changes_no_status_and_subscribes_nobody_unless_the_rule_says_so() -> None:
    identify, track = built(PERSON, "track_event", event_properties="plan, seats").messages
    assert identify.body["member"] == {
        "email_address": "test@example.com",
        "status_if_new": "transactional",
    }
    assert track.body == {
        "list_id": NEWS,
        "email_address": "test@example.com",
        "event": {
            "name": "user.signup",
            "properties": {"plan": "pro"},
            "occurred_at": "2026-11-23T18:00:00.000Z",
        },
    }
    asked, _ = built(PERSON, "track_event", status_if_new="pending").messages
    assert asked.body["member"] == {
        "email_address": "test@example.com",
        "status_if_new": "pending",
    }


def test_an_event_s_name_fits_mailchimp_or_is_replaced() -> None:
    assert "event" in built(PERSON, "track_event", event_name_override=" ").messages[1].body
    _, track = built(PERSON, "track_event", event_name_override=" signed_up ").messages
    assert isinstance(track.body["event"], dict)
    assert track.body["event"]["name"] == "signed_up"
    for name in ("x", "x" * 31):
        long = event(PERSON, event=name)
        with pytest.raises(MappingError, match=f"event name: has {len(name)} characters"):
            build_messages(long, mailchimp_rule("track_event"))


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("pro", "pro"),
        ("", ""),
        (7, 7),
        (1.5, 1.5),
        (True, "true"),
        (
            {"addr1": "1 Main St", "zip": 30308, "addr2": None},
            {"addr1": "1 Main St", "zip": "30308"},
        ),
    ],
)
def test_merge_fields_are_text_numbers_or_an_address(value: Any, sent: Any) -> None:
    member = mapped({"email": "a@b.test", "x": value}, path("MMERGE3", "x"))
    assert member["merge_fields"] == {"MMERGE3": sent}


def test_absent_merge_fields_are_left_as_they_are() -> None:
    assert "merge_fields" not in mapped({"email": "a@b.test", "x": None}, path("PLAN", "x"))


@pytest.mark.parametrize("ip", ["203.0.113.7", "2001:DB8::1"])
def test_the_address_of_the_sign_up_goes_along(ip: str) -> None:
    [identify] = built({**PERSON, "ip_signup": ip}, "add_to_list").messages
    assert isinstance(identify.body["member"], dict)
    assert identify.body["member"]["ip_signup"] == ip.lower()


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ({}, "email: has no value"),
        ({"email": " "}, "email: has no value"),
        ({"email": 7}, "email: is a number"),
        ({"email": "nobody"}, "email: is not an e-mail address"),
        ({"email": "a@b"}, "email: is not an e-mail address"),
        ({"email": "a" * 250 + "@example.com"}, "email: has 262 characters"),
        ({"email": "a@b.test", "ip_signup": "nowhere"}, "ip_signup: is not an IP address"),
        ({"email": "a@b.test", "ip_signup": 7}, "ip_signup: is not an IP address"),
        ({"email": "a@b.test", "FNAME": ["a"]}, "FNAME: is a list"),
        ({"email": "a@b.test", "FNAME": {"a": {}}}, "FNAME: is an object"),
        ({"email": "a@b.test", "FNAME": "a\0b"}, "FNAME: holds a NUL"),
        ({"email": "a@b.test", "plan": {"a": 1}}, "plan: is an object"),
    ],
)
def test_what_mailchimp_would_refuse_is_not_sent(payload: dict[str, Any], told: str) -> None:
    chosen = mailchimp_rule("track_event", event_properties="plan").model_copy(
        update={
            "mapping": mapping(
                path("email", "email"), path("ip_signup", "ip_signup"), path("FNAME", "FNAME")
            )
        }
    )
    with pytest.raises(MappingError, match=re.escape(told)) as failure:
        build_messages(event(payload), chosen)
    for value in ("nobody", "nowhere", "a@b"):
        assert value not in str(failure.value)


@pytest.mark.parametrize("tag", ["fname", "FIRST NAME", "Łódź", "*|FNAME|*"])
def test_a_field_that_is_not_a_tag_is_refused(tag: str) -> None:
    with pytest.raises(MappingError, match="is not the tag of a merge field"):
        mapped({"email": "a@b.test", "x": "y"}, path(tag, "x"))


@pytest.mark.parametrize("action", [one.key for one in MAILCHIMP.actions])
def test_every_action_s_messages_are_as_their_schema_describes_them(action: str) -> None:
    chosen = mailchimp_rule(action).model_copy(update={"mapping": MAPPED})
    messages = build_messages(event(PERSON), chosen).messages
    schemas = json.loads(SCHEMAS.read_text())
    for message in messages:
        jsonschema_rs.validate(schemas[message.call], message.body)
    found = MAILCHIMP.action(action)
    assert found is not None
    assert tuple(message.call for message in messages) == found.calls


def test_a_key_for_anonymous_visitors_stores_no_contact() -> None:
    chosen = mailchimp_rule("add_to_list").model_copy(update={"anonymous_only": True})
    for payload in ({"email": "a@b.test"}, {"anonymousId": "anon_1"}):
        with pytest.raises(MappingError, match="for anonymous visitors only"):
            build_messages(event(payload), chosen)


@pytest.mark.parametrize(
    ("action", "metadata", "told"),
    [
        ("add_to_list", {"id": "News letter"}, "id: must be an audience's id"),
        ("add_to_list", {"id": "a1/../b2"}, "id: must be an audience's id"),
        ("remove_from_list", {}, "id: is missing"),
        ("track_event", {"id": NEWS, "event_name_override": "x" * 31}, "event_name_override: has"),
        ("track_event", {"id": NEWS, "status_if_new": "cleaned"}, "status_if_new: must be"),
    ],
)
def test_a_rule_that_can_t_be_delivered_is_refused_on_saving(
    action: str, metadata: dict[str, str], told: str
) -> None:
    found = MAILCHIMP.action(action)
    assert found is not None
    with pytest.raises(InvalidField, match=re.escape(told)):
        found.read_metadata({"action": action, **metadata})


@pytest.mark.parametrize(
    "key",
    [
        "",
        "abc",
        "abc-",
        "-us6",
        "abc-us6.evil.example",
        "abc-us6/",
        "abc-us6@evil.example",
        "abc-us6#",
        "abc-us6:1",
        "abc-evil",
        "abc-us٦",
        "abc-us6\nx",
        "a b-us6",
        "x" * 201 + "-us6",
    ],
)
def test_a_key_without_a_data_center_of_mailchimp_s_is_refused_without_repeating_it(
    key: str,
) -> None:
    with pytest.raises(InvalidField) as failure:
        MAILCHIMP.read_fields({"api_key": key})
    assert not key or key not in str(failure.value)


def test_the_data_center_is_the_key_s_and_may_be_entered_if_it_is_the_same() -> None:
    assert MAILCHIMP.read_fields({"api_key": f" {KEY} "}) == {"api_key": KEY}
    both = MAILCHIMP.read_fields({"api_key": KEY, "data_center": " US6 "})
    assert both == {"api_key": KEY, "data_center": "us6"}
    with pytest.raises(InvalidField, match="data_center: is not the key's, which is us6"):
        MAILCHIMP.read_fields({"api_key": KEY, "data_center": "us7"})
    with pytest.raises(InvalidField, match="data_center: must be a data center"):
        MAILCHIMP.read_fields({"api_key": KEY, "data_center": "evil.example"})


def test_the_rules_of_the_docs_are_valid() -> None:
    page = (Path(__file__).parents[2] / "docs" / "mailchimp.md").read_text()
    examples = [json.loads(found) for found in re.findall(r"```json\n(.*?)```", page, re.S)]
    assert {one["action"] for one in examples} == {one.key for one in MAILCHIMP.actions}
    for example in examples:
        action = MAILCHIMP.action(example["action"])
        assert action is not None
        assert action.read_metadata(example) == example
