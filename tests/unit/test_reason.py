"""Why a delivery failed: the headline for people, and the codes by which failures are found."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from delivery.attempt import Attempt, AttemptList
from delivery.failures import LONGEST, Failure, read_failures, write_failures
from delivery.outcome import OutcomeCode
from delivery.reason import LONGEST_CODE, LONGEST_FIELD, LONGEST_TEXT, Reason, headline
from destinations.complaint import Complaint, unexplained
from destinations.registry import BY_TYPE

REFUSED = OutcomeCode.REJECTED_CLIENT_ERROR
CONNECTION = "11111111-2222-3333-4444-555555555555"
KEYS = (
    *("category", "code", "context", "error", "errors", "field", "in", "message", "meta", "name"),
    *("needed", "propertyName", "reason", "results"),
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=12,
)
NAMES = st.text(st.sampled_from("abzAZ09_.-"), min_size=1, max_size=LONGEST_FIELD)
REASONS = st.builds(
    Reason.of,
    st.sampled_from(OutcomeCode),
    st.none() | st.integers(100, 599),
    st.none() | NAMES,
    st.none() | NAMES,
)
FAILURES = st.builds(
    Failure, connection=st.just(CONNECTION), type=st.sampled_from(list(BY_TYPE)), reason=REASONS
)


@pytest.mark.parametrize(
    ("type", "status", "answer", "told"),
    [
        (
            "customer_io",
            400,
            {"errors": [{"field": "traits.email", "message": "value is not a valid email"}]},
            "Customer.io refused `email`: value is not a valid email",
        ),
        (
            "customer_io",
            400,
            {"meta": {"errors": ["email: value is not a valid email."]}},
            "Customer.io refused `email`: value is not a valid email",
        ),
        (
            "customer_io",
            400,
            {"meta": {"errors": ["userId must be a string"]}},
            "Customer.io refused `userId`: userId must be a string",
        ),
        (
            "customer_io",
            400,
            {"meta": {"error": "request body is not valid JSON"}},
            "Customer.io refused the message: request body is not valid JSON",
        ),
        ("customer_io", 400, {}, "Customer.io refused the message (400)"),
        (
            "hubspot",
            207,
            {
                "results": [],
                "errors": [
                    {
                        "category": "VALIDATION_ERROR",
                        "message": "Property values were not valid",
                        "errors": [
                            {
                                "code": "INVALID_EMAIL",
                                "message": "the address is invalid",
                                "context": {"propertyName": ["email"]},
                            }
                        ],
                    }
                ],
            },
            "HubSpot refused `email`: the address is invalid",
        ),
        (
            "hubspot",
            400,
            {"category": "VALIDATION_ERROR", "message": "DYNAMIC lists can't be changed"},
            "HubSpot refused the message: DYNAMIC lists can't be changed",
        ),
        (
            "resend",
            422,
            {"name": "missing_required_field", "message": "Missing `to` field."},
            "Resend refused `to`: Missing `to` field",
        ),
        (
            "slack",
            200,
            {"ok": False, "error": "channel_not_found"},
            "Slack refused the message: channel_not_found",
        ),
        (
            "mailchimp",
            400,
            {
                "title": "Invalid Resource",
                "detail": "The resource submitted could not be validated.",
                "errors": [{"field": "merge_fields.FNAME", "message": "This value is too long."}],
            },
            "Mailchimp refused `merge_fields`: This value is too long",
        ),
        (
            "intercom",
            400,
            {
                "type": "error.list",
                "errors": [{"code": "parameter_invalid", "message": "email is not valid"}],
            },
            "Intercom refused the message: email is not valid",
        ),
        ("webhook", 422, {"error": "no"}, "Webhook refused the message (422)"),
    ],
)
def test_the_vendor_s_own_reason_is_the_headline(
    type: str, status: int, answer: dict[str, Any], told: str
) -> None:
    destination = BY_TYPE[type]
    said = destination.complaint(json.dumps(answer))
    reason = Reason.of(REFUSED, status, said.code, said.field)
    assert headline(destination.label, reason, said.text) == told


@pytest.mark.parametrize(
    ("reason", "text", "told"),
    [
        (Reason.of(REFUSED, 422, "invalid", "to"), None, "Acme refused `to`: invalid"),
        (Reason.of(OutcomeCode.AUTH_FAILED, 401), None, "Acme refused the key (401)"),
        (Reason.of(OutcomeCode.TIMEOUT), None, "Acme did not answer in time"),
        (
            Reason.of(OutcomeCode.REJECTED_SERVER_ERROR, 503),
            "given up after 72 hours",
            "Acme could not handle the message: given up after 72 hours",
        ),
        (
            Reason.of(OutcomeCode.MAPPING_ERROR, field="traits"),
            "are 312",
            "The event can't be sent to Acme because of `traits`: are 312",
        ),
        (
            Reason.of(OutcomeCode.INTERNAL_ERROR, code="connection_deleted"),
            None,
            "The message to Acme could not be sent: connection_deleted",
        ),
    ],
)
def test_every_outcome_has_a_headline(reason: Reason, text: str | None, told: str) -> None:
    assert headline("Acme", reason, text) == told


@given(st.sampled_from(OutcomeCode), st.text(max_size=1_000))
def test_a_headline_is_one_short_line(outcome: OutcomeCode, text: str) -> None:
    told = headline("Acme", Reason.of(outcome, 400), text)
    assert told.startswith(("Acme", "The "))
    assert len(told) <= LONGEST_TEXT + 60
    assert told.splitlines() == [told]


@given(st.sampled_from(list(BY_TYPE)), ANY_JSON | st.text(), st.booleans())
@example("slack", {"error": "x", "needed": ["chat:write"]}, True)
def test_any_answer_can_be_read(type: str, answer: Any, as_json: bool) -> None:
    """An answer that can't would make an attempt that was answered look like an error of ours."""
    said = BY_TYPE[type].complaint(json.dumps(answer) if as_json else str(answer))
    assert all(part is None or isinstance(part, str) for part in (said.code, said.field, said.text))


@pytest.mark.parametrize("type", BY_TYPE)
def test_a_reason_names_no_key_of_a_payload(type: str) -> None:
    destination = BY_TYPE[type]
    for path in ("usr_2048", "traits.usr_2048", "properties.usr_2048", "trait usr_2048"):
        named = destination.own_field(path)
        assert named is None or named in destination.parts, path


# Where each vendor's answer has its code, and the field that it names.
PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "customer_io": lambda it: {"errors": [{"reason": it, "field": it}]},
    "hubspot": lambda it: {
        "category": it,
        "errors": [{"code": it, "context": {"propertyName": [it]}}],
    },
    "intercom": lambda it: {"errors": [{"code": it, "field": it}]},
    "mailchimp": lambda it: {"title": it, "errors": [{"field": it}]},
    "resend": lambda it: {"name": it, "message": f"Missing `{it}` field."},
    "slack": lambda it: {"ok": False, "error": it},
}


@pytest.mark.parametrize("type", PLACES)
@pytest.mark.parametrize(
    "text",
    [
        "jane@example.com is taken",
        "jane@example.com",
        "jane.nowak",
        "48555123456",
        "+48-555-123-456",
        "é" * 3,
        "x" * (LONGEST_CODE + 1),
    ],
)
def test_text_never_passes_for_a_code_or_a_field(type: str, text: str) -> None:
    said = BY_TYPE[type].complaint(json.dumps(PLACES[type](text)))
    assert (said.code, said.field) == (None, None)


def test_every_vendor_is_read_for_codes() -> None:
    assert PLACES.keys() == BY_TYPE.keys() - {"webhook"}
    for type, place in PLACES.items():
        assert BY_TYPE[type].complaint(json.dumps(place("invalid"))).code == "invalid"


@pytest.mark.parametrize("type", [type for type in BY_TYPE if type != "webhook"])
def test_every_vendor_s_refusals_are_read(type: str) -> None:
    assert BY_TYPE[type].explain is not unexplained


def test_a_destination_without_a_form_explains_nothing() -> None:
    assert BY_TYPE["webhook"].complaint('{"code": "x", "message": "y"}') == Complaint()


@given(REASONS)
def test_a_reason_reads_what_it_wrote(reason: Reason) -> None:
    assert Reason.read(reason.key) == reason


@pytest.mark.parametrize(
    "key",
    ["", "timeout", "timeout//", "timeout/x//", "gone_wild///", "timeout/0200//", "a/b/c/d/e"],
)
def test_what_is_no_reason_is_not_read(key: str) -> None:
    assert Reason.read(key) is None


@given(st.lists(FAILURES, max_size=8))
def test_failures_fit_into_the_attribute_of_every_store(failures: list[Failure]) -> None:
    """PostgreSQL's visibility store would refuse the run's whole record for one character more."""
    text = write_failures(failures)
    assert len(text) <= LONGEST
    assert text.isascii()
    found = read_failures(text)
    assert list(found) == failures[: len(found)]
    assert len(found) >= min(len(failures), 1)


def test_what_a_newer_release_wrote_is_left_out() -> None:
    known = Failure(connection=CONNECTION, type="slack", reason=Reason.of(REFUSED, 400))
    assert read_failures(f"+ {CONNECTION}/new_outcome/1/2/3/slack {known.key}") == (known,)
    assert read_failures(None) == ()


def test_a_reason_is_that_of_the_last_attempt() -> None:
    refused = Attempt(
        number=1,
        call="identify",
        started_at=datetime.now(UTC),
        duration_ms=1,
        outcome_code=REFUSED,
        status_code=422,
        message="",
        error_code="invalid",
        error_field="to",
    )
    attempts = AttemptList().add(refused)
    assert Reason.of_attempts(REFUSED, attempts) == Reason.of(REFUSED, 422, "invalid", "to")
    held = Reason.of_attempts(OutcomeCode.INTERNAL_ERROR, attempts)
    assert held == Reason.of(OutcomeCode.INTERNAL_ERROR)
