"""Ids give nothing away: the same for the same secret, not to be guessed without it."""

from __future__ import annotations

import hashlib
import uuid

import pytest
from delivery_samples import EVENT_ID, WORKSPACE, event_fields, read
from hypothesis import given, settings
from hypothesis import strategies as st

from emitonce.ids import event_id_for, fingerprint, resource_id_hash

SECRET = b"s" * 32
OTHER_SECRET = b"t" * 32
OTHER_WORKSPACE = "0b2f4c3e-6a5d-4f0e-9a55-8d0c7d3f0002"


@settings(deadline=None, max_examples=100)
@given(st.text())
def test_any_key_stands_for_one_event_id_that_can_be_read(key):
    made = event_id_for(SECRET, WORKSPACE, key)
    assert made == event_id_for(SECRET, WORKSPACE, key)
    assert uuid.UUID(made).version == 8
    assert uuid.UUID(made).variant == uuid.RFC_4122
    assert read(event_fields(), event_id=made).id == made


def test_it_is_this_one():
    """Pinned: another id after an upgrade would accept an event a second time."""
    assert event_id_for(SECRET, WORKSPACE, "order-17") == "3f91dd66-e127-8198-adaa-296685b2ce72"
    assert resource_id_hash(SECRET, "order-17") == "514681290f94b1ed035d3133429132f5"


def test_key_workspace_and_secret_each_make_another_id():
    made = {
        event_id_for(secret, workspace, key)
        for secret in (SECRET, OTHER_SECRET)
        for workspace in (WORKSPACE, OTHER_WORKSPACE)
        for key in ("order-17", "order-18", "ORDER-17", " order-17")
    }
    assert len(made) == 16


def test_the_case_in_which_a_workspace_is_written_does_not_matter():
    upper = event_id_for(SECRET, WORKSPACE.upper(), "order-17")
    assert upper == event_id_for(SECRET, WORKSPACE, "order-17")


@pytest.mark.parametrize("key", ["", "jo@example.com", "😀", "\ud800", "a\0b", "x" * 100_000])
def test_any_text_may_be_a_key_or_a_resource_id(key):
    assert len(event_id_for(SECRET, WORKSPACE, key)) == len(EVENT_ID)
    assert len(resource_id_hash(SECRET, key)) == 32


def test_a_resource_id_can_not_be_found_by_hashing_guesses():
    made = resource_id_hash(SECRET, "jo@example.com")
    assert int(made, 16) >= 0
    for guess in (b"jo@example.com", b"resource\0jo@example.com"):
        assert made not in hashlib.sha256(guess).hexdigest()
    assert made != resource_id_hash(OTHER_SECRET, "jo@example.com")


def test_a_fingerprint_tells_bodies_apart_byte_by_byte():
    made = fingerprint(SECRET, b'{"a":1}')
    assert made == fingerprint(SECRET, b'{"a":1}')
    assert made != fingerprint(SECRET, b'{"a": 1}')
    assert made != fingerprint(OTHER_SECRET, b'{"a":1}')


def test_one_text_gives_unrelated_ids_for_each_purpose():
    text = "order-17"
    event = event_id_for(SECRET, "", text).replace("-", "")
    assert not {event[:8]} & {
        resource_id_hash(SECRET, text)[:8],
        resource_id_hash(SECRET, f"|{text}")[:8],
        fingerprint(SECRET, text.encode())[:8],
    }
