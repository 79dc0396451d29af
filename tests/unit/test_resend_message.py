"""What is sent to Resend: contacts, segments, events and mails, or a reason why nothing is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from delivery.errors import InvalidField, MappingError
from delivery.mapping_schema import MappingSchema
from delivery.message import Message
from destinations.registry import BY_TYPE, build_messages
from tests.unit.delivery_samples import event, mapping, path, rule_of

ROOT = Path(__file__).parents[2]
SCHEMAS = json.loads((ROOT / "tests" / "contract" / "schemas" / "resend.json").read_text())
RESEND = BY_TYPE["resend"]
SEGMENT = "78261eea-8f8b-4381-83c6-79fa7120f1cf"
EMAIL = "test@example.com"


def built(
    action: str, payload: dict[str, Any], mapped: MappingSchema | None = None, **metadata: Any
) -> list[Message]:
    matched = rule_of("resend", action=action, **metadata)
    matched = matched.model_copy(update={"mapping": mapped})
    messages = build_messages(event(payload), matched).messages
    for message in messages:
        jsonschema_rs.validate(SCHEMAS[message.call], message.body)
    return list(messages)


def contact(payload: dict[str, Any], mapped: MappingSchema | None = None) -> dict[str, Any]:
    return built("add_to_segment", payload, mapped, id=SEGMENT)[0].body


def mail(payload: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    [message] = built("send_email_template", payload, id="welcome", **metadata)
    assert message.call == "send"
    return message.body


def test_a_contact_is_named_then_added_or_removed() -> None:
    payload = {"email": f" {EMAIL} ", "firstName": "Łódź", "lastName": " ", "plan": "pro"}
    added = built("add_to_segment", payload, id=SEGMENT)
    assert [message.call for message in added] == ["identify", "track"]
    assert added[0].body == {"email": EMAIL, "first_name": "Łódź"}
    assert added[1].body == {"email": EMAIL, "segment_id": SEGMENT}
    removed = built("remove_from_segment", payload, id=SEGMENT)
    assert removed[0] == added[0]
    assert removed[1].body == {"email": EMAIL, "segment_id": SEGMENT, "deleted": True}


def test_other_mapped_fields_become_properties_and_nobody_is_subscribed_again() -> None:
    schema = mapping(path("email", "mail"), path("plan", "plan"), path("seats", "seats"))
    payload = {"mail": EMAIL, "plan": "pro", "seats": 3, "unsubscribed": False}
    assert contact(payload, schema) == {"email": EMAIL, "properties": {"plan": "pro", "seats": 3}}


def test_an_event_has_its_payload_and_a_name_of_the_rule_s() -> None:
    payload = {"email": EMAIL, "items": [1, {"a": None}]}
    _, tracked = built("track_event", payload, event_name_override=" Signed Up ")
    assert tracked.body == {"event": "Signed Up", "email": EMAIL, "payload": payload}
    assert built("track_event", payload)[1].body["event"] == event(payload).event


def test_a_mail_goes_to_the_person_with_the_template_s_variables() -> None:
    payload = {"email": EMAIL, "template_variables": {"PLAN": "pro", "SEATS": 3, "NOTE": None}}
    body = mail(payload, subject=" Hello ", **{"from": "Team <team@example.com>"})
    assert body["to"] == [EMAIL]
    assert (body["from"], body["subject"]) == ("Team <team@example.com>", "Hello")
    assert body["template"] == {"id": "welcome", "variables": {"PLAN": "pro", "SEATS": 3}}
    assert "from" not in (plain := mail({"email": EMAIL}))
    assert "subject" not in plain


def test_a_variable_mapped_by_itself_comes_before_the_object_s() -> None:
    schema = mapping(
        path("email", "email"),
        path("template_variables", "vars"),
        path("template_variables.plan", "plan"),
    )
    payload = {"email": EMAIL, "vars": {"plan": "free", "city": "Köln"}, "plan": "pro"}
    [message] = built("send_email_template", payload, schema, id="welcome")
    template: Any = message.body["template"]
    assert template["variables"] == {"plan": "pro", "city": "Köln"}


def test_a_mail_has_the_same_id_on_every_attempt_and_another_for_each_rule_and_event() -> None:
    def id_of(rule: str, of: str) -> str:
        matched = rule_of("resend", action="send_email_template", id="welcome")
        sent = event({"email": EMAIL}).model_copy(update={"id": of})
        own = matched.model_copy(update={"id": rule})
        [message] = build_messages(sent, own).messages
        tags: Any = message.body["tags"]
        return str(tags[0]["value"])

    first = "11111111-1111-4111-8111-111111111111"
    assert id_of("a", first) == id_of("a", first)
    assert len({id_of("a", first), id_of("b", first), id_of("a", first.replace("1", "2"))}) == 3


def test_markup_in_a_variable_is_text_unless_the_rule_trusts_it() -> None:
    payload = {"email": EMAIL, "template_variables": {"NAME": '<a href="https://x.test">Win</a>'}}
    escaped = mail(payload)["template"]["variables"]["NAME"]
    assert not re.search(r"""[<>"]""", escaped)
    kept = mail(payload, markup="keep")["template"]["variables"]["NAME"]
    assert kept == '<a href="https://x.test">Win</a>'


@pytest.mark.parametrize(
    ("email", "told"),
    [
        (None, "email: is missing"),
        ("  ", "email: is missing"),
        (7, "email: is not an e-mail address"),
        ("nobody", "email: is not an e-mail address"),
        ("a@example.com, b@example.com", "email: is not an e-mail address"),
        ("A <a@example.com>", "email: is not an e-mail address"),
        ("a@example.com\r\nBcc: b@example.com", "email: is not an e-mail address"),
        (f"{'a' * 250}@example.com", "email: has 262 characters"),
    ],
)
@pytest.mark.parametrize("action", [action.key for action in RESEND.actions])
def test_without_an_address_nothing_is_sent(action: str, email: Any, told: str) -> None:
    with pytest.raises(MappingError, match=told) as failure:
        built(action, {"email": email}, id=SEGMENT)
    assert "example.com" not in str(failure.value)


@pytest.mark.parametrize("action", [action.key for action in RESEND.actions])
def test_a_key_for_anonymous_visitors_sends_nothing(action: str) -> None:
    matched = rule_of("resend", action=action, id=SEGMENT)
    anonymous = matched.model_copy(update={"anonymous_only": True})
    with pytest.raises(MappingError, match="names a person"):
        build_messages(event({"email": EMAIL}), anonymous)


@pytest.mark.parametrize(
    ("dest", "value", "told"),
    [
        ("a-b", "x", "can't be a contact property's name"),
        ("p" * 51, "x", "can't be a contact property's name"),
        ("plan", True, "is a boolean"),
        ("plan", ["pro"], "is a list"),
        ("firstName", {"a": 1}, "is an object"),
    ],
)
def test_what_a_contact_can_t_hold_fails_the_delivery(dest: str, value: Any, told: str) -> None:
    schema = mapping(path("email", "email"), path(dest, "value"))
    with pytest.raises(MappingError, match=told):
        contact({"email": EMAIL, "value": value}, schema)


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ("pro", "is a string; it must be an object"),
        ({f"V{number}": 1 for number in range(51)}, "are 51, Resend's limit is 50"),
        ({"FIRST_NAME": "x"}, "a name that Resend fills itself"),
        ({"a b": "x"}, "can't be a variable's name"),
        ({"V" * 51: "x"}, "can't be a variable's name"),
        ({"PLAN": {"a": 1}}, "is an object"),
    ],
)
def test_variables_that_resend_would_refuse_are_not_sent(variables: Any, told: str) -> None:
    with pytest.raises(MappingError, match=told):
        mail({"email": EMAIL, "template_variables": variables})


def test_the_largest_that_is_allowed_is_sent() -> None:
    variables = {f"V{number}" + "x" * 40: 1 for number in range(50)}
    assert mail({"email": EMAIL, "template_variables": variables})["template"]["variables"]


def test_an_event_name_that_resend_keeps_for_itself_is_refused() -> None:
    with pytest.raises(MappingError, match="starts with resend:"):
        built("track_event", {"email": EMAIL}, event_name_override="resend:opened")
    refused("track_event", "event_name_override", "resend:opened")


@pytest.mark.parametrize("id", ["", "a/b", "../emails", "a b", "x" * 129, "ä"])
def test_an_id_that_could_lead_elsewhere_is_refused_on_saving(id: str) -> None:
    for action in ("add_to_segment", "send_email_template"):
        refused(action, "id", id)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("from", "nobody"),
        ("from", "A <a@example.com>, B <b@example.com>"),
        ("from", "A <a@example.com>\nBcc: b@example.com"),
        ("subject", "Hello\nBcc: b@example.com"),
        ("subject", "x" * 999),
        ("markup", "trust"),
    ],
)
def test_what_no_mail_can_have_is_refused_on_saving(key: str, value: str) -> None:
    refused("send_email_template", key, value)


def refused(action_key: str, key: str, value: str) -> None:
    action = RESEND.action(action_key)
    assert action is not None
    with pytest.raises(InvalidField, match=f"{key}: "):
        action.read_metadata({"action": action_key, "id": SEGMENT, key: value})


@pytest.mark.parametrize("key", ["", "sk_1", "re_1 2", "re_é", "re_" + "1" * 200, "Bearer re_1"])
def test_what_is_not_a_key_is_refused_without_repeating_it(key: str) -> None:
    with pytest.raises(InvalidField) as failure:
        RESEND.read_fields({"api_key": key})
    assert not key or key not in str(failure.value)
    assert RESEND.read_fields({"api_key": " re_1 "}) == {"api_key": "re_1"}


def test_the_rules_of_the_docs_are_valid() -> None:
    page = (ROOT / "docs" / "resend.md").read_text()
    examples = [json.loads(one) for one in re.findall(r"```json\n(.*?)```", page, re.S)]
    assert {one["action"] for one in examples} == {action.key for action in RESEND.actions}
    for example in examples:
        action = RESEND.action(example["action"])
        assert action is not None
        assert action.read_metadata(example) == example
