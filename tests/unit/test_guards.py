"""What Customer.io would drop in silence, or take for a command, is stopped before any request."""

from __future__ import annotations

import pytest
from delivery_samples import build, mapping, path, traits_of

from delivery.errors import MappingError
from destinations.customerio.guards import COMMANDS, trait_fault

COMMAND_NAMES = [
    "Delete Person",
    "Device Created or Updated",
    "Device Deleted",
    "Object Deleted",
    "Relationship Deleted",
    "Report Content Event",
    "Report Delivery Event",
    "User Deleted",
    "User Suppressed",
    "User Unsuppressed",
]


def user(**payload: object) -> dict:
    return {"userId": "u1", **payload}


@pytest.mark.parametrize("name", ["userId", "email", "anonymousId"])
def test_an_identifier_of_150_bytes_passes_and_one_more_does_not(name):
    build({name: "é" * 75})
    with pytest.raises(MappingError, match=r"is 151 bytes long.*limit is 150"):
        build({name: "é" * 75 + "x"})


@pytest.mark.parametrize("on_limit", ["fail", "drop"])
@pytest.mark.parametrize("identifier", ["x" * 151, "cio_0a1b", "u\0", 10**150])
def test_an_identifier_is_never_dropped_nor_cut(identifier, on_limit):
    with pytest.raises(MappingError):
        build({"userId": identifier, "email": "a@b.co"}, on_limit=on_limit)


@pytest.mark.parametrize("name", ["userId", "email", "anonymousId"])
def test_an_identifier_that_customer_io_takes_for_its_own_is_refused(name):
    with pytest.raises(MappingError, match="starts with cio_") as caught:
        build({name: "cio_0a1b2c"})
    assert caught.value.field == name
    build({name: "CIO_0a1b2c"})
    build({name: "mycio_0a1b2c"})


@pytest.mark.parametrize("name", COMMAND_NAMES)
@pytest.mark.parametrize("spell", [str, str.upper, str.lower, lambda name: f" {name}\t"])
def test_a_command_as_event_name_is_refused_unless_the_rule_allows_it(name, spell):
    with pytest.raises(MappingError, match="is a command at"):
        build(user(), event_name_override=spell(name))
    allowed = build(user(), event_name_override=spell(name), allow_commands=True)
    assert allowed.messages[1].body["event"] == spell(name)


def test_a_command_is_refused_wherever_the_name_comes_from():
    with pytest.raises(MappingError, match="is a command"):
        build(user(event_name_override="User Deleted"))
    stored = mapping(
        path("userId", "userId"),
        {"dest": "event_name_override", "source": {"type": "literal", "value": "user suppressed"}},
    )
    with pytest.raises(MappingError, match="is a command"):
        build(user(), mapping=stored)


def test_the_commands_are_these():
    assert frozenset(name.casefold() for name in COMMAND_NAMES) == COMMANDS


def test_an_event_name_of_100_bytes_passes_and_one_more_does_not():
    build(user(), event_name_override="é" * 50)
    with pytest.raises(MappingError, match=r"is 101 bytes long.*limit is 100"):
        build(user(), event_name_override="é" * 50 + "x")


@pytest.mark.parametrize("name", ["a\0b", "\0"])
def test_an_event_name_with_nul_is_refused(name):
    with pytest.raises(MappingError, match="NUL"):
        build(user(event_name_override=name))


@pytest.mark.parametrize(
    "value",
    ["x" * 1_000, "é" * 500, ["x" * 996], {"k": "x" * 992}, 10**300, "\n" * 1_000],
)
def test_a_value_of_1_000_bytes_passes(value):
    assert traits_of(build(user(value=value))) == {"value": value}


@pytest.mark.parametrize("value", ["x" * 1_001, "é" * 500 + "x", ["x" * 997], {"k": "x" * 993}])
def test_a_value_of_1_001_bytes_does_not(value):
    with pytest.raises(MappingError, match="trait value: is 1,001 bytes long, limit 1,000"):
        build(user(value=value))


def test_300_traits_and_names_of_150_bytes_pass():
    payload = {f"t{i}": i for i in range(299)} | {"é" * 75: 1}
    assert len(traits_of(build(user(**payload)))) == 300


@pytest.mark.parametrize(
    "value", ["a\0b", ["\0"], {"a": {"b": "\0"}}, {"a\0": 1}, ["\\\0"], ["\\u0000", "\0"]]
)
def test_nul_is_found_at_any_depth(value):
    assert trait_fault("value", value) == "holds a NUL character; remove it"


@pytest.mark.parametrize("value", ["\\u0000", ["\\u0000"], {"a": "\\\\u0000"}, {"\\u0000": 1}])
def test_the_letters_of_its_escape_are_no_nul(value):
    assert trait_fault("value", value) is None


def test_an_error_names_no_address_and_no_whole_novel():
    with pytest.raises(MappingError) as caught:
        build(user(**{"jo@example.com": "x" * 1_001}))
    assert "example" not in str(caught.value)
    with pytest.raises(MappingError) as caught:
        build(user(**{"k" * 140: "x" * 1_001}))
    assert len(str(caught.value)) < 200
