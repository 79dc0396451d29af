"""The client refuses at once what the server would refuse, and nothing that it would accept.

The rules are written twice, in `emitonce/event.py` and `delivery/event.py`, since neither can
import the other.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from delivery import errors as domain
from delivery import people as domain_people
from delivery.event import read_event
from emitonce import InvalidEvent, people
from emitonce.event import NewEvent, checked_fields, encode
from starter.api.bodies import parse_json
from starter.api.errors import ApiError

WORKSPACE = "5f0c6a1e-3c1b-4d7e-9a51-0d6f2b8c7e44"

texts = st.text(max_size=120)
awkward = st.sampled_from(
    [
        *("", " ", "\0", "a\nb", "a\u2028", "\x85", "\u00a0", "\x1fa", " padded ", "\ud800"),
        *("@", "a@b", "a@@b.c", "a@b.c", 5, None, True),
        *("x" * 100, "x" * 101, "ü" * 50, "ü" * 51, "😀" * 25, "x" * 255, "x" * 256),
    ]
)
workspaces = st.one_of(
    st.uuids(),
    st.uuids().map(str),
    st.uuids().map(lambda id: str(id).upper()),
    st.sampled_from([WORKSPACE.replace("-", ""), f"{{{WORKSPACE}}}", f"{WORKSPACE}\n", "acme", ""]),
)
offsets = st.sampled_from(["", "Z", "z", "+02:00", "-2359", "+24:00", "+00:60", "+1:00", " Z"])
timestamps = st.one_of(
    st.none(),
    st.builds(
        "{:04}-{:02}-{:02}{}{:02}:{:02}{}{}".format,
        st.sampled_from([0, 1, 1969, 1970, 2024, 2026, 9999]),
        st.integers(0, 13),
        st.integers(0, 32),
        st.sampled_from(["T", "t", " ", "_", ""]),
        st.integers(0, 24),
        st.integers(0, 60),
        st.sampled_from(
            ["", ":00", ":60", ":59.5", ":00.123456789012", ":00.1234567890123", ":00.", ".5"]
        ),
        offsets,
    ),
    st.datetimes(timezones=st.timezones()).map(str),
    texts,
    st.integers(),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | awkward,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | awkward, inner, max_size=3),
    max_leaves=8,
)
payloads = st.dictionaries(texts, values, max_size=4)


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"in": value}
    return value


def as_it_was_sent_before(new: NewEvent) -> bytes:
    """As 0.1 sent it, unchecked; other SDKs do so still."""
    fields = {
        "workspace": str(new.workspace),
        "event": new.event,
        "payload": new.payload,
        "resource": new.resource,
        "resource_id": new.resource_id,
        "timestamp": new.timestamp,
    }
    return encode(fields)


def server_accepts(new: NewEvent) -> bool:
    try:
        value = parse_json(as_it_was_sent_before(new))
        read_event(value, event_id=str(uuid.UUID(int=0)), started_at=datetime.now(UTC))
    except (InvalidEvent, ApiError, domain.InvalidEvent):
        return False
    return True


def refusal(new: NewEvent) -> str | None:
    """What the client says of an event, if it refuses it."""
    try:
        sent = encode(checked_fields(new, None))
    except InvalidEvent as err:
        return str(err)
    assert sent == as_it_was_sent_before(new)
    return None


def agree(new: NewEvent, about: str = "") -> None:
    refused = refusal(new)
    assert server_accepts(new) == (refused is None), refused
    assert refused is None or refused.startswith(about)


@given(
    st.builds(
        NewEvent,
        event=texts | awkward,
        payload=payloads,
        workspace=workspaces,
        resource=texts | awkward,
        resource_id=texts | awkward,
        timestamp=timestamps,
    )
)
def test_they_agree_on_whole_events(new: NewEvent) -> None:
    agree(new)


@pytest.mark.parametrize("field", ["event", "resource", "resource_id"])
@given(text=texts | awkward)
def test_they_agree_on_each_name(field: str, text: Any) -> None:
    fields: dict[str, Any] = {"event": "e", "payload": {}, "workspace": WORKSPACE, field: text}
    agree(NewEvent(**fields), about=f"{field}: ")


@given(workspaces)
def test_they_agree_on_each_workspace(workspace: Any) -> None:
    agree(NewEvent("e", {}, workspace), about="workspace: ")


@given(timestamps)
@example("1970-01-01T00:00:00+00:01")
@example("1970-01-01T00:00:00Z")
@example("0001-01-01T00:00:00+23:59")
@example("2026-11-23T18:00:00.123456789012Z")
@example("2026-11-23T18:00:00.1234567890123Z")
def test_they_agree_on_each_time(timestamp: Any) -> None:
    agree(NewEvent("e", {}, WORKSPACE, timestamp=timestamp), about="timestamp: ")


@given(payloads)
@example(deep(56))
@example(deep(57))
@example({"n": 2**1024})
@example({"n": -int(1.7976931348623157e308)})
@example({"a": {1: 2, "1": 3}})
@example({"a": {None: 2, True: 3, 1.5: 4}})
def test_they_agree_on_each_payload(payload: dict[str, Any]) -> None:
    agree(NewEvent("e", payload, WORKSPACE), about="payload")


@given(
    st.dictionaries(
        st.sampled_from(people.IDENTIFIERS),
        st.one_of(
            values, texts, st.integers(), st.floats(), st.sampled_from([2048.0, "x" * 1_001])
        ),
    )
)
def test_client_and_server_read_the_same_identifiers(payload: dict[str, Any]) -> None:
    assert tuple(people.identifiers(payload).items()) == domain_people.identifiers(payload)
