"""Which identifiers an event is found by, and that their hashes give nothing away."""

from __future__ import annotations

from typing import Any

import pytest

from delivery.mapping_schema import Convert, MappedField, MappingSchema, PathSource
from delivery.people import MOST_IDENTIFIERS, identifiers
from delivery.rule import MatchedRule, RuleMetadata
from emitonce.ids import person_hash

SECRET = b"s" * 32
WORKSPACE = "5f0c6a1e-3c1b-4d7e-9a51-0d6f2b8c7e44"


def rule(connection: str, *fields: tuple[str, str]) -> MatchedRule:
    return MatchedRule(
        id="r",
        connection=connection,
        connection_name="A connection",
        integration_type="any",
        metadata=RuleMetadata(action="any"),
        mapping=MappingSchema(
            fields=tuple(
                MappedField(
                    dest=dest,
                    source=PathSource(type="path", value=path),
                    transforms=(Convert(type="trim"),),
                )
                for dest, path in fields
            )
        ),
    )


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (" usr_1 ", "usr_1"),
        (2048, "2048"),
        (2048.0, "2048"),
        ("x" * 1_000, "x" * 1_000),
        *((bad, None) for bad in ("", " ", None, True, 1.5, [], {}, "x" * 1_001, float("inf"))),
    ],
)
def test_what_can_identify_is_read_as_text(value: Any, read: str | None) -> None:
    assert identifiers({"userId": value}) == ((("userId", read),) if read else ())


def test_identifiers_that_mappings_name_follow_the_payload_s_own() -> None:
    payload = {"email": "a@example.com", "user": {"id": "usr_1", "age": 7, "list": ["visit"]}}
    rules = (
        rule("one", ("userId", "user.id"), ("plan", "user.age"), ("anonymousId", "user.list.0")),
        rule("two", ("email", "user"), ("userId", "user.id")),
    )
    assert identifiers(payload, rules) == (
        ("email", "a@example.com"),
        ("userId", "usr_1"),
        ("anonymousId", "visit"),
    )


def test_more_identifiers_than_fit_are_left_out() -> None:
    payload = {f"id{number}": f"usr_{number}" for number in range(60)}
    many = rule("one", *(("userId", key) for key in payload))
    assert len(identifiers(payload, [many])) == MOST_IDENTIFIERS


def test_a_hash_is_of_one_identifier_in_one_workspace() -> None:
    def hashed(text: str, workspace: str = WORKSPACE, secret: bytes = SECRET) -> str:
        return person_hash(secret, workspace, text)

    assert hashed("Ann@Example.com ") == hashed("ann@example.com")
    assert hashed("J\u00fcrgen") == hashed("Ju\u0308rgen")
    assert hashed("usr_1", WORKSPACE.upper()) == hashed("usr_1")
    different = {
        hashed("usr_1"),
        hashed("USR_1"),
        hashed("usr_1", secret=b"t" * 32),
        hashed("usr_1", "00000000-0000-0000-0000-000000000000"),
    }
    assert len(different) == 4
    assert {len(one) for one in different} == {32}
