"""A ring opens with any of its keys, seals with one, and says nothing when it can do neither."""

from __future__ import annotations

import base64

import pytest

from emitonce.key_ring import KeyRing, NotAuthentic, UnknownKey, check_value, parse_keys

OLD, NEW = b"o" * 32, b"n" * 32


def test_the_newest_key_seals_until_another_is_named() -> None:
    ring = KeyRing({"k2": NEW, "k1": OLD})
    assert ring.encrypt(b"x", None)[0] == "k2"
    ring.use("k1")
    key_id, sealed = ring.encrypt(b"x", None)
    assert key_id == "k1"
    ring.use("k2")
    assert ring.decrypt("k1", sealed, None) == b"x"


def test_the_same_text_is_never_sealed_the_same_way_twice() -> None:
    ring = KeyRing({"k1": OLD})
    assert len({ring.encrypt(b"x", None)[1] for _ in range(100)}) == 100


def test_a_key_that_is_not_there_can_not_be_used() -> None:
    ring = KeyRing({"k1": OLD})
    with pytest.raises(UnknownKey):
        ring.use("k2")
    with pytest.raises(UnknownKey):
        ring.decrypt("k2", b"\0" * 40, None)
    with pytest.raises(UnknownKey):
        KeyRing({}).encrypt(b"x", None)


@pytest.mark.parametrize("size", [0, 11, 12, 27, 28])
def test_what_is_cut_short_does_not_open(size: int) -> None:
    ring = KeyRing({"k1": OLD})
    _, sealed = ring.encrypt(b"plain text", b"here")
    with pytest.raises(NotAuthentic) as caught:
        ring.decrypt("k1", sealed[:size], b"here")
    assert str(caught.value) == ""


def test_what_is_changed_moved_or_of_another_key_does_not_open() -> None:
    ring = KeyRing({"k1": OLD})
    _, sealed = ring.encrypt(b"plain text", b"here")
    assert ring.decrypt("k1", sealed, b"here") == b"plain text"
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(NotAuthentic):
            ring.decrypt("k1", bytes(changed), b"here")
    for elsewhere in (b"there", b"", None):
        with pytest.raises(NotAuthentic):
            ring.decrypt("k1", sealed, elsewhere)
    with pytest.raises(NotAuthentic):
        KeyRing({"k1": NEW}).decrypt("k1", sealed, b"here")


def test_a_check_value_tells_keys_apart_and_gives_nothing_away() -> None:
    assert check_value(OLD) != check_value(NEW)
    assert len(check_value(OLD)) == 16
    assert OLD.hex()[:8] not in check_value(OLD)


def key(fill: int, size: int = 32) -> str:
    return base64.b64encode(bytes([fill]) * size).decode()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "must read id:base64"),
        (key(1), "must read id:base64"),
        (f"k1:{key(1)},", "must read id:base64"),
        (f"k 1:{key(1)}", "an id is"),
        (f"{'k' * 65}:{key(1)}", "an id is"),
        (f"k1:{key(1)},k1:{key(2)}", "'k1' is there twice"),
        (f"k1:{key(1)},k2:{key(1)}", "'k2' repeats an earlier one"),
        (f"k1:{key(1, 31)}", "31 bytes, needs 32"),
        ("k1:hunter2!", "is not base64"),
    ],
)
def test_malformed_keys_are_refused_and_not_quoted(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        parse_keys("EMITONCE_PAYLOAD_KEYS", text)
    assert str(caught.value).startswith("EMITONCE_PAYLOAD_KEYS: ")
    assert key(1)[:8] not in str(caught.value)
    assert "hunter2" not in str(caught.value)
