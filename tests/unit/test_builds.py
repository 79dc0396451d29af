"""Builds stand side by side: the first sends what it always sent, the second reads more closely."""

from __future__ import annotations

from typing import Any

import pytest
from delivery_samples import (
    GOLDEN,
    RULE,
    build,
    event,
    event_fields,
    mapping,
    path,
    read,
    rule,
    traits_of,
)
from redelivery_samples import A, call_log, delivery

from delivery.capabilities import UnknownToThisRelease
from delivery.delivery_log import CallLog
from delivery.errors import MappingError
from delivery.message import Messages
from delivery.redelivery import Redelivery
from delivery.result import Status
from destinations.customerio.build import ANONYMOUS
from destinations.customerio.builds import BUILDS
from destinations.customerio.identity import NOT_AN_ADDRESS
from destinations.registry import build_messages, this_release, with_types_and_builds


def second(payload: dict[str, Any], **options: Any) -> Messages:
    return build(payload, build=2, **options)


def ids(pair: Messages) -> dict[str, Any]:
    found = [
        {name: message.body[name] for name in ("userId", "anonymousId") if name in message.body}
        for message in (pair.messages[0], pair.messages[1])
    ]
    assert found[0] == found[1]
    return found[0]


def warned(payload: dict[str, Any], **options: Any) -> str:
    return " | ".join(second({"userId": "u1", **payload}, **options).warnings)


def test_bytes_of_each_build_are_these() -> None:
    bodies = {
        number: build(GOLDEN, build=number, event_name_override="Signed Up").messages[1].encode()
        for number in BUILDS
    }
    same = (
        b'{"userId":"usr_2048","event":"Signed Up","timestamp":"2026-11-23T18:00:00.000Z",'
        b'"messageId":"01M84S1580GD0FWXT3486SSYD3","context":{"library":{"name":"emitonce"'
    )
    assert bodies == {1: same + b',"version":"0.1.0"}}}', 2: same + b"}}}", 3: same + b"}}}"}


def test_event_that_reads_alike_differs_in_the_library_alone() -> None:
    first, later = (build(GOLDEN, build=number) for number in (1, 2))
    for one, other in zip(first.messages, later.messages, strict=True):
        assert {**one.body, "context": None} == {**other.body, "context": None}
    assert first.warnings == later.warnings == ()


def test_build_that_this_release_does_not_know_is_not_guessed() -> None:
    assert this_release().builds == tuple(BUILDS)
    with pytest.raises(UnknownToThisRelease, match="build 99"):
        build(GOLDEN, build=99)


def test_white_space_around_identifiers_is_removed() -> None:
    payload = {"userId": " usr_2048\n", "email": "\tjo@example.com ", "anonymousId": " v1 "}
    assert ids(second(payload)) == {"userId": "usr_2048", "anonymousId": "v1"}
    assert traits_of(second(payload)) == {"email": "jo@example.com"}
    assert ids(second({"email": " jo@example.com "})) == {"userId": "jo@example.com"}
    assert ids(build(payload, build=1)) == {"userId": " usr_2048\n", "anonymousId": " v1 "}


@pytest.mark.parametrize("given", ["jo", "jo at example.com", "@", "jo@", "@example.com", 17, 0.5])
def test_email_that_is_not_an_address_identifies_nobody_and_is_no_trait(given: Any) -> None:
    for payload, expected in (
        ({"userId": "u1", "email": given}, {"userId": "u1"}),
        ({"email": given, "anonymousId": "v1"}, {"anonymousId": "v1"}),
    ):
        pair = second(payload)
        assert ids(pair) == expected
        assert traits_of(pair) == {}
        assert NOT_AN_ADDRESS in pair.warnings
        assert str(given) not in " ".join(pair.warnings)
    generated = second({"email": given})
    assert set(ids(generated)) == {"anonymousId"}
    assert ANONYMOUS in generated.warnings
    assert ids(build({"email": given}, build=1)) == {"userId": str(given)}


def test_email_beside_a_mapping_that_reads_another_field_is_checked_too() -> None:
    stored = mapping(path("userId", "id"), path("email", "contact.email"))
    payload = {"id": "u1", "email": "none", "contact": {"email": "none either"}}
    pair = second(payload, mapping=stored)
    assert "email" not in traits_of(pair)
    assert pair.warnings.count(NOT_AN_ADDRESS) == 1
    stored = mapping(path("userId", "id"))
    assert traits_of(second({"id": "u1", "email": " jo@example.com"}, mapping=stored)) == {
        "email": "jo@example.com"
    }
    assert traits_of(second({"id": "u1", "email": " "}, mapping=stored)) == {}


@pytest.mark.parametrize("given", [True, {"address": "jo@example.com"}, ["jo@example.com"]])
def test_email_of_a_kind_that_identifies_nobody_is_still_refused(given: Any) -> None:
    with pytest.raises(MappingError, match="an identifier is a string or a number"):
        second({"userId": "u1", "email": given})


def test_user_id_that_is_another_address_than_email_is_warned_about() -> None:
    other = second({"userId": "old@example.com", "email": "new@example.com"})
    assert ids(other) == {"userId": "old@example.com"}
    assert any(text.startswith("userId: is an e-mail address other") for text in other.warnings)
    assert "example.com" not in " ".join(other.warnings)
    for payload in (
        {"userId": "Jo@Example.com", "email": "jo@example.com"},
        {"userId": "jo@example.com"},
        {"userId": "jo@example.com", "email": "none"},
        {"email": "jo@example.com"},
    ):
        assert "userId" not in " ".join(second(payload).warnings)


@pytest.mark.parametrize(
    ("trait", "accepted", "refused"),
    [
        ("createdAt", ["2026-11-23T18:00:00Z", "2026-11-23"], [1764000000, "yesterday", True]),
        ("unsubscribed", [True, False, 1, 0, "TRUE", "false", "1"], ["yes", 2, "", {"a": 1}]),
        (
            "cio_subscription_preferences",
            [{"topics": {"topic_1": True, "topic_2": ""}}, {}],
            ["all", {"topics": True}, {"topics": {"topic_1": "yes"}}],
        ),
        ("cio_subscription_preferences.topics.topic_1", [True], ["yes", 1]),
    ],
)
def test_traits_of_another_type_than_the_vendors_are_sent_with_a_warning(
    trait: str, accepted: list[Any], refused: list[Any]
) -> None:
    for value in accepted:
        assert warned({trait: value}) == ""
    for value in refused:
        assert f"{trait}: is a" in warned({trait: value})
        assert traits_of(second({"userId": "u1", trait: value})) == {trait: value}
        assert build({"userId": "u1", trait: value}, build=1).warnings == ()


@pytest.mark.parametrize("name", ["Application Opened", "application installed", "Seen"])
def test_event_about_a_device_is_warned_about(name: str) -> None:
    said = warned({}, event_name_override=name)
    assert ("as an event of a device" in said) is (name != "Seen")


def redelivered(
    identify: CallLog | None, track: CallLog | None, payload: dict[str, Any] | None = None
) -> Messages:
    """Of an event that was redelivered since the fleet knows build 2."""
    earlier = delivery(A, Status.FAILED, identify=identify, track=track)
    told = Redelivery(accepted_at="2026-11-23T18:00:00Z", rules=(A,), earlier=(earlier,))
    fields = event_fields(redelivery=told.model_dump(mode="json", exclude_defaults=True))
    if payload is not None:
        fields["payload"] = payload
    return build_messages(with_types_and_builds(read(fields)), rule(id=A, build=2))


def test_call_that_may_have_been_sent_keeps_its_build_and_one_that_was_not_takes_the_newest() -> (
    None
):
    first, newest = (build_messages(event(), rule(id=A, build=number)) for number in (1, 2))
    sent, held = call_log("identify"), call_log("identify", 0, build=1, never_sent=True)
    assert redelivered(sent, None).messages[0] == first.messages[0]
    assert redelivered(sent, None).messages[1] == newest.messages[1]
    assert redelivered(sent, call_log("track")).messages[1] == first.messages[1]
    assert redelivered(held, None) == newest
    assert redelivered(None, None) == newest
    by_second = call_log("identify", build=2)
    assert redelivered(by_second, None) == newest


def test_build_is_read_from_the_body_where_an_older_release_left_it_out() -> None:
    newest = build_messages(event(), rule(id=A, build=2))
    unsaid = call_log("identify", request=newest.messages[0].body)
    assert unsaid.build is None
    assert redelivered(unsaid, call_log("track", request=newest.messages[1].body)) == newest
    shortened = call_log("identify", request={})
    assert redelivered(shortened, None).messages[0].build == 1


def test_both_calls_name_the_same_person_whatever_builds_they_have() -> None:
    payload = {"userId": " usr_2048 "}
    first = build_messages(event(payload), rule(id=A, build=1))
    again = redelivered(call_log("identify", request=first.messages[0].body), None, payload)
    assert ids(again) == {"userId": " usr_2048 "}
    assert again == first


def test_carried_build_that_this_release_does_not_know_is_noticed_before_anything_is_sent() -> None:
    earlier = delivery(A, Status.FAILED, identify=call_log("identify", build=99))
    told = Redelivery(accepted_at="2026-11-23T18:00:00Z", rules=(A,), earlier=(earlier,))
    assert told.builds == (99,)
    settled = Redelivery(accepted_at="2026-11-23T18:00:00Z", rules=(RULE,), earlier=(earlier,))
    assert settled.builds == ()
