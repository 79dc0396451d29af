"""A stored credential opens with its own key, in its own place, unchanged; else not at all."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from catalog.encryption.cipher import CredentialCipher, Encrypted
from catalog.errors import CannotDecrypt

SECRET = SecretStr("cdp-key-ünïcode")
OLD, NEW = b"o" * 32, b"n" * 32
PLACE = {"workspace": "w", "connection": "c"}


def test_decrypts_what_it_encrypted():
    cipher = CredentialCipher({"old": OLD})
    assert cipher.decrypt(cipher.encrypt(SECRET, **PLACE), **PLACE) == SECRET


def test_first_key_encrypts_and_every_key_decrypts():
    before = CredentialCipher({"old": OLD}).encrypt(SECRET, **PLACE)
    ring = CredentialCipher({"new": NEW, "old": OLD})
    assert ring.decrypt(before, **PLACE) == SECRET
    assert ring.encrypt(SECRET, **PLACE).key_id == "new"


def test_same_secret_is_never_encrypted_to_the_same_bytes():
    cipher = CredentialCipher({"old": OLD})
    assert len({cipher.encrypt(SECRET, **PLACE).data for _ in range(100)}) == 100


def test_plain_text_is_not_in_what_is_stored():
    stored = CredentialCipher({"old": OLD}).encrypt(SECRET, **PLACE).data
    assert SECRET.get_secret_value().encode() not in stored


@pytest.mark.parametrize("place", [PLACE | {"workspace": "x"}, PLACE | {"connection": "x"}])
def test_does_not_open_in_another_place(place):
    cipher = CredentialCipher({"old": OLD})
    with pytest.raises(CannotDecrypt):
        cipher.decrypt(cipher.encrypt(SECRET, **PLACE), **place)


def test_any_changed_bit_is_noticed():
    cipher = CredentialCipher({"old": OLD})
    stored = cipher.encrypt(SECRET, **PLACE)
    for position in range(len(stored.data)):
        data = bytearray(stored.data)
        data[position] ^= 1
        with pytest.raises(CannotDecrypt):
            cipher.decrypt(replace(stored, data=bytes(data)), **PLACE)


@pytest.mark.parametrize("length", [0, 1, 11, 12, 27])
def test_too_few_bytes_are_noticed(length):
    cipher = CredentialCipher({"old": OLD})
    stored = cipher.encrypt(SECRET, **PLACE)
    with pytest.raises(CannotDecrypt):
        cipher.decrypt(replace(stored, data=stored.data[:length]), **PLACE)


def test_missing_key_and_wrong_key_fail_alike():
    stored = CredentialCipher({"old": OLD}).encrypt(SECRET, **PLACE)
    messages = set()
    for ring in ({"new": NEW}, {"old": NEW}):
        with pytest.raises(CannotDecrypt) as caught:
            CredentialCipher(ring).decrypt(stored, **PLACE)
        messages.add(str(caught.value))
        assert caught.value.__cause__ is None
    assert len(messages) == 1
    assert "cdp-key" not in messages.pop()


@pytest.mark.parametrize("keys", [{}, {"short": b"x" * 31}, {"ok": OLD, "long": b"x" * 33}])
def test_ring_with_a_wrong_key_is_refused(keys):
    with pytest.raises(ValueError):
        CredentialCipher(keys)


def test_the_first_release_reads_and_wrote_the_same_form():
    place = {
        "workspace": "0c8f0d5e-0000-4000-8000-000000000001",
        "connection": "0c8f0d5e-0000-4000-8000-000000000002",
    }
    cipher = CredentialCipher({"k1": OLD})
    written = b64decode("X1ZTb8N3tVMCias0JyQHEaDdKymwHf8lc7oRgHWZtT1IpXq16xF7khRCBErO")
    assert cipher.decrypt(Encrypted("k1", written), **place) == SECRET

    data = cipher.encrypt(SECRET, **place).data
    bound_to = f"emitonce.credential.1|{place['workspace']}|{place['connection']}".encode()
    plain = AESGCM(OLD).decrypt(data[:12], data[12:], bound_to)
    assert plain.decode() == SECRET.get_secret_value()
