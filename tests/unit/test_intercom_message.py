"""What is sent to Intercom: one contact by its external id or address, then one tag or event."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from pydantic import SecretStr

from delivery.credential import Credential
from delivery.errors import InvalidField, MappingError
from delivery.message import Messages
from delivery.rule import MatchedRule
from destinations.intercom.person import MOST_KNOWN, Known, KnownContacts, Person
from destinations.registry import BY_TYPE, build_messages
from tests.unit.delivery_samples import event, mapping, rule_of

SCHEMAS = Path(__file__).parents[1] / "contract" / "schemas" / "intercom.json"
INTERCOM = BY_TYPE["intercom"]
PERSON = {"email": "Test@Example.com", "external_id": 2048, "name": "Łódź", "plan": "pro"}


def intercom_rule(action: str, **metadata: Any) -> MatchedRule:
    return rule_of("intercom", action=action, **metadata)


def built(payload: dict[str, Any], action: str, **metadata: Any) -> Messages:
    return build_messages(event(payload), intercom_rule(action, **metadata))


def mapped_to(dest: str) -> MatchedRule:
    """A rule that fills `dest` from the payload's `plan`."""
    named = mapping(
        {"dest": "email", "source": {"type": "path", "value": "email"}},
        {"dest": dest, "source": {"type": "path", "value": "plan"}},
    )
    return intercom_rule("track_event").model_copy(update={"mapping": named})


def of_account(token: str) -> Credential:
    return Credential({"region": "us"}, {"access_token": SecretStr(token)})


def test_a_contact_has_only_what_is_mapped_and_is_never_subscribed() -> None:
    identify, _ = built({**PERSON, "phone": " ", "unsubscribed": False}, "track_event").messages
    assert identify.call == "identify"
    assert identify.body == {
        "role": "user",
        "external_id": "2048",
        "email": "Test@Example.com",
        "name": "Łódź",
    }
    identify, _ = build_messages(event(PERSON), mapped_to("plan")).messages
    assert identify.body["custom_attributes"] == {"plan": "pro"}


@pytest.mark.parametrize(("action", "change"), [("add_tag", "add"), ("remove_tag", "remove")])
def test_a_tag_is_changed_after_the_contact_is_stored(action: str, change: str) -> None:
    _, track = built(PERSON, action, id="7522907").messages
    assert track.call == "track"
    person = {"external_id": "2048", "email": "Test@Example.com"}
    assert track.body == {**person, "tag": "7522907", "change": change}


def test_an_event_is_of_one_person_and_one_second_that_stays() -> None:
    _, track = built(PERSON, "track_event", event_metadata="plan, seats").messages
    assert track.body == {
        "event_name": "user.signup",
        "created_at": 1795456800,
        "user_id": "2048",
        "metadata": {"plan": "pro"},
    }
    late = event(PERSON)
    late = late.model_copy(update={"timestamp": late.timestamp + timedelta(milliseconds=999)})
    _, again = build_messages(late, intercom_rule("track_event", event_name_override=" ")).messages
    assert again.body["created_at"] == 1795456800
    assert "metadata" not in again.body
    _, named = built({"email": "a@b.test"}, "track_event", event_name_override="Signed up").messages
    assert (named.body["event_name"], named.body["email"]) == ("Signed up", "a@b.test")


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("pro", "pro"),
        (7, 7),
        (1.5, 1.5),
        (True, "true"),
        ({"amount": 34999, "currency": "eur"}, {"amount": 34999, "currency": "eur"}),
        ({"url": "https://x.test", "value": "x"}, {"url": "https://x.test", "value": "x"}),
    ],
)
def test_metadata_keeps_the_kinds_that_intercom_has(value: Any, sent: Any) -> None:
    _, track = built({**PERSON, "plan": value}, "track_event", event_metadata="plan").messages
    assert track.body["metadata"] == {"plan": sent}


@pytest.mark.parametrize("value", [["a"], {"a": 1}, {"url": [1], "value": "x"}])
def test_metadata_that_is_nested_is_not_sent(value: Any) -> None:
    with pytest.raises(MappingError, match="plan"):
        built({**PERSON, "plan": value}, "track_event", event_metadata="plan")


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ({}, "email: and external_id have no value"),
        ({"email": " ", "external_id": ""}, "email: and external_id have no value"),
        ({"email": 7}, "email: is not an e-mail address"),
        ({"email": True}, "email: is a boolean"),
        ({"email": "nobody", "external_id": "1"}, "email: is not an e-mail address"),
        ({"email": "a b@example.com"}, "email: is not an e-mail address"),
        ({"email": "a" * 250 + "@example.com"}, "email: has 262 characters"),
        ({"external_id": ["1"]}, "external_id: is a list"),
        ({"external_id": "a\0b"}, "external_id: holds a NUL"),
        ({"email": "a@b.test", "name": {"a": 1}}, "name: is an object"),
    ],
)
def test_what_intercom_would_refuse_is_not_sent(payload: dict[str, Any], told: str) -> None:
    with pytest.raises(MappingError, match=re.escape(told)) as failure:
        built(payload, "add_tag", id="1")
    for value in ("nobody", "a b@example.com"):
        assert value not in str(failure.value)


@pytest.mark.parametrize(
    ("dest", "value", "told"),
    [
        ("plan", {"a": 1}, "plan: is an object"),
        ("plan", ["a"], "plan: is a list"),
        ("plan", "x" * 256, "plan: has 256 characters"),
        ("plan", "a\0b", "plan: holds a NUL"),
        ("a.b", "pro", "a.b: can't be the name"),
        ("$plan", "pro", "$plan: can't be the name"),
    ],
)
def test_an_attribute_that_intercom_can_t_have_is_not_sent(
    dest: str, value: Any, told: str
) -> None:
    with pytest.raises(MappingError, match=re.escape(told)):
        build_messages(event({**PERSON, "plan": value}), mapped_to(dest))


@pytest.mark.parametrize("action", [one.key for one in INTERCOM.actions])
def test_every_action_s_messages_are_as_their_schema_describes_them(action: str) -> None:
    metadata = {"track_event": {"event_metadata": "plan"}}
    messages = built(PERSON, action, **metadata.get(action, {"id": "5"})).messages
    schemas = json.loads(SCHEMAS.read_text())
    for message in messages:
        jsonschema_rs.validate(schemas[message.call], message.body)
    found = INTERCOM.action(action)
    assert found is not None
    assert tuple(message.call for message in messages) == found.calls


def test_a_key_for_anonymous_visitors_stores_no_contact() -> None:
    chosen = intercom_rule("add_tag", id="5").model_copy(update={"anonymous_only": True})
    for payload in ({"email": "a@b.test"}, {"anonymousId": "anon_1"}):
        with pytest.raises(MappingError, match="for anonymous visitors only"):
            build_messages(event(payload), chosen)


@pytest.mark.parametrize(
    ("action", "metadata", "told"),
    [
        ("add_tag", {"id": "5/../6"}, "id: must be a tag's id"),
        ("add_tag", {"id": "VIP customers"}, "id: must be a tag's id"),
        ("remove_tag", {}, "id: is missing"),
        ("track_event", {"event_name_override": "a\0"}, "event_name_override: holds a NUL"),
        (
            "track_event",
            {"event_metadata": ",".join(f"p{n}" for n in range(11))},
            "event_metadata: names 11 keys",
        ),
    ],
)
def test_a_rule_that_can_t_be_delivered_is_refused_on_saving(
    action: str, metadata: dict[str, str], told: str
) -> None:
    found = INTERCOM.action(action)
    assert found is not None
    with pytest.raises(InvalidField, match=re.escape(told)):
        found.read_metadata({"action": action, **metadata})


@pytest.mark.parametrize("token", ["", " ", "tok 1", "tok-1\n2", "tok-é", "x" * 513])
def test_a_malformed_token_is_refused_without_repeating_it(token: str) -> None:
    with pytest.raises(InvalidField) as failure:
        INTERCOM.read_fields({"region": "eu", "access_token": token})
    assert not token.strip() or token not in str(failure.value)
    read = INTERCOM.read_fields({"access_token": " tok-1 "})
    assert read == {"region": "us", "access_token": "tok-1"}
    with pytest.raises(InvalidField, match="must be one of us, eu, au"):
        INTERCOM.read_fields({"region": "mars", "access_token": "tok-1"})


def test_a_contact_with_another_external_id_is_another_person() -> None:
    person = Person("usr_1", "test@example.com")
    contacts: list[Any] = [
        {"id": "1", "external_id": "usr_2", "email": "test@example.com"},
        {"id": "2", "external_id": None, "email": "other@example.com"},
        {"id": 3, "external_id": "usr_1"},
        "4",
    ]
    assert person.contact_in(contacts) is None
    newer = {"id": "5", "email": "Test@example.com", "created_at": 2}
    older = {"id": "6", "external_id": "", "email": "test@example.com", "created_at": 1}
    assert person.contact_in([*contacts, newer, older]) == "6"
    assert Person(None, "test@example.com").contact_in(contacts) == "1"
    assert Person("usr_1", None).contact_in([newer, {"id": "7", "external_id": "usr_1"}]) == "7"


def test_only_the_latest_contacts_are_remembered_each_account_s_apart() -> None:
    known, own = KnownContacts(), of_account("one")
    for number in range(MOST_KNOWN + 1):
        known.remember(Person(str(number), None), own, Known(str(number)))
    assert known.get(Person("0", None), own) is None
    assert known.get(Person("1", None), own) == Known("1")
    assert known.get(Person("1", None), of_account("another")) is None


def test_the_rules_of_the_docs_are_valid() -> None:
    page = (Path(__file__).parents[2] / "docs" / "intercom.md").read_text()
    examples = [json.loads(found) for found in re.findall(r"```json\n(.*?)```", page, re.S)]
    assert {one["action"] for one in examples} == {one.key for one in INTERCOM.actions}
    for example in examples:
        action = INTERCOM.action(example["action"])
        assert action is not None
        assert action.read_metadata(example) == example
