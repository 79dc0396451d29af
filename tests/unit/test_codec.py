"""What Temporal is given to store is sealed; what can't be opened is refused and shows nothing."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload, Payloads, SearchAttributes
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.converter import ActivitySerializationContext, WorkflowSerializationContext
from temporalio.exceptions import ApplicationError

from catalog.values import CONNECTION_BYTES, CONNECTION_CHARACTERS, connection_name
from emitonce.codec import ENCODING, EVENT, KEY_ID, CannotDecode, EncryptionCodec
from emitonce.key_ring import KeyRing
from engine.data_converter import data_converter
from engine.decoding import decode_in_place

HISTORIES = Path(__file__).parent.parent / "replay" / "histories"
EVENT_ID = "5f0c6a1e-3c1b-4d7e-9a51-0d6f2b8c7e44"
OTHER_EVENT_ID = "5f0c6a1e-3c1b-4d7e-9a51-0d6f2b8c7e45"
MARKER = "marker-7f3a@example.com"
KEYS = {"k2": b"n" * 32, "k1": b"o" * 32}


def plain() -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=f'{{"email":"{MARKER}"}}'.encode())


def codec(event_id: str | None = EVENT_ID, keys: dict[str, bytes] = KEYS) -> EncryptionCodec:
    bare = EncryptionCodec(KeyRing(keys))
    if event_id is None:
        return bare
    return bare.with_context(WorkflowSerializationContext("default", event_id))


async def sealed(event_id: str | None = EVENT_ID) -> Payload:
    return (await codec(event_id).encode([plain()]))[0]


async def test_a_sealed_payload_shows_the_key_id_and_its_event_and_nothing_else() -> None:
    payload = await sealed()
    assert payload.metadata == {
        "encoding": ENCODING,
        KEY_ID: b"k2",
        EVENT: EVENT_ID.encode(),
    }
    assert MARKER.encode() not in payload.SerializeToString()
    assert b"json" not in payload.SerializeToString()


@pytest.mark.parametrize("event_id", [EVENT_ID, None])
async def test_a_payload_comes_back_as_it_was(event_id: str | None) -> None:
    payload = await sealed(event_id)
    assert await codec(event_id).decode([payload]) == [plain()]
    # The codec server knows no event: what the payload names is what it is bound to.
    assert await codec(None).decode([payload]) == [plain()]


async def test_plain_payloads_pass_unchanged_with_and_without_keys() -> None:
    assert await codec().decode([plain()]) == [plain()]
    assert await codec(keys={}).decode([plain()]) == [plain()]
    assert await codec(keys={}).encode([plain()]) == [plain()]


async def test_a_missing_key_is_named() -> None:
    with pytest.raises(CannotDecode, match="'k2'") as caught:
        await codec(keys={"k1": b"o" * 32}).decode([await sealed()])
    assert caught.value.missing_key == "k2"


@pytest.mark.parametrize(
    "key_id", [None, b"", b"<script>", MARKER.encode(), b"\xff\xfe", b"k" * 99]
)
async def test_a_strangers_key_id_is_not_repeated(key_id: bytes | None) -> None:
    payload = await sealed()
    if key_id is None:
        del payload.metadata[KEY_ID]
    else:
        payload.metadata[KEY_ID] = key_id
    with pytest.raises(CannotDecode) as caught:
        await codec().decode([payload])
    assert "'?'" in str(caught.value)


async def test_a_tampered_payload_is_refused_and_nothing_revealed() -> None:
    for change in ("bit", "cut", "empty", "other key", "other event", "no event"):
        payload = await sealed()
        if change == "bit":
            payload.data = payload.data[:-1] + bytes([payload.data[-1] ^ 1])
        elif change == "cut":
            payload.data = payload.data[:20]
        elif change == "empty":
            payload.data = b""
        elif change == "other key":
            payload.metadata[KEY_ID] = b"k1"
        elif change == "other event":
            payload.metadata[EVENT] = OTHER_EVENT_ID.encode()
        else:
            del payload.metadata[EVENT]
        for reader in (codec(), codec(None)):
            with pytest.raises(CannotDecode) as caught:
                await reader.decode([payload])
            assert caught.value.missing_key is None, change
            assert str(caught.value) == (
                "a payload can't be decrypted: it was changed, cut short, or belongs elsewhere"
            )


async def test_the_first_release_reads_and_wrote_the_same_form() -> None:
    event_id = "0c8f0d5e-0000-4000-8000-000000000003"
    keys = {"k1": b"o" * 32}
    written = Payload.FromString(
        b64decode(
            "CjYKDmVtaXRvbmNlLWV2ZW50EiQwYzhmMGQ1ZS0wMDAwLTQw"  # pragma: allowlist secret
            "MDAtODAwMC0wMDAwMDAwMDAwMDMKFwoRZW5jcnlwdGlvbi1r"  # pragma: allowlist secret
            "ZXktaWQSAmsxChwKCGVuY29kaW5nEhBiaW5hcnkvZW5jcnlw"  # pragma: allowlist secret
            "dGVkEkS+zXhsdNwuVoNBKucvQhsopqAhPe34v9Qbw69Hr3sD"  # pragma: allowlist secret
            "cMltWwIqfu36COPxypw+vCv2Uooxi63jSnf8M/9EPQwX2tRb"  # pragma: allowlist secret
            "vQ=="  # pragma: allowlist secret
        )
    )
    plain_text = Payload(metadata={"encoding": b"json/plain"}, data=b'{"plan":"pro"}')
    assert await codec(event_id, keys).decode([written]) == [plain_text]

    [sealed] = await codec(event_id, keys).encode([plain_text])
    assert {**sealed.metadata} == {
        "encoding": b"binary/encrypted",
        "encryption-key-id": b"k1",
        "emitonce-event": event_id.encode(),
    }
    bound_to = f"emitonce.payload.1|{event_id}".encode()
    opened = AESGCM(keys["k1"]).decrypt(sealed.data[:12], sealed.data[12:], bound_to)
    assert Payload.FromString(opened) == plain_text


async def test_a_payload_of_another_event_is_refused() -> None:
    with pytest.raises(CannotDecode):
        await codec().decode([await sealed(OTHER_EVENT_ID)])


async def test_in_an_activity_what_can_not_be_opened_stays_sealed_and_is_refused_as_a_value() -> (
    None
):
    """The SDK fails an activity for good when its heartbeat details can't be decoded."""
    payload = await sealed()
    converter = data_converter(KeyRing({"k1": b"o" * 32})).with_context(
        ActivitySerializationContext("default", "id", "identify", "queue", EVENT_ID, "W", False)
    )
    [heartbeat] = await converter.decode([payload])
    assert heartbeat.payload == payload
    with pytest.raises(CannotDecode, match="'k2'"):
        await converter.decode([payload], [dict])


async def test_failures_are_sealed_and_put_back() -> None:
    converter = data_converter(KeyRing(KEYS))
    failure = Failure()
    await converter.encode_failure(ApplicationError(MARKER, {"email": MARKER}), failure)
    assert MARKER.encode() not in failure.SerializeToString()
    assert str(await converter.decode_failure(failure)) == MARKER


class Client:
    namespace = "default"
    data_converter = data_converter(KeyRing(KEYS))


@pytest.mark.parametrize("file", sorted(HISTORIES.rglob("*.json")), ids=lambda file: file.stem)
async def test_no_payload_of_a_recorded_run_stays_sealed(file: Path) -> None:
    recorded, events = events_of(file), events_of(file)
    held = list(payloads_in(*events))
    for payload, closed in zip(held, await codec().encode(held), strict=True):
        payload.CopyFrom(closed)
    assert held
    assert events != recorded

    await decode_in_place(Client(), EVENT_ID, *events)  # type: ignore[arg-type]

    assert events == recorded


def events_of(file: Path) -> Sequence[HistoryEvent]:
    return WorkflowHistory.from_json(EVENT_ID, file.read_text()).events


def payloads_in(*messages: Message) -> Iterator[Payload]:
    """Look everywhere but into search attributes."""
    for message in messages:
        if isinstance(message, Payload):
            yield message
        elif isinstance(message, Message) and not isinstance(message, SearchAttributes):
            for field, value in message.ListFields():
                if not field.is_repeated:
                    yield from payloads_in(value)
                else:
                    yield from payloads_in(*getattr(value, "values", lambda value=value: value)())


async def test_whole_histories_are_decoded_but_search_attributes_left_alone() -> None:
    attribute = Payload(metadata={"encoding": b"json/plain", "type": b"Keyword"}, data=b'"x"')
    event = HistoryEvent()
    started = event.workflow_execution_started_event_attributes
    started.input.CopyFrom(Payloads(payloads=[await sealed(), plain()]))
    started.memo.fields["fingerprint"].CopyFrom(await sealed())
    started.search_attributes.CopyFrom(SearchAttributes(indexed_fields={"A": attribute}))
    await data_converter(KeyRing(KEYS)).encode_failure(
        ApplicationError(MARKER, {"email": MARKER}), started.continued_failure
    )
    event.user_metadata.summary.CopyFrom(await sealed())

    await decode_in_place(Client(), EVENT_ID, event)  # type: ignore[arg-type]

    assert list(started.input.payloads) == [plain(), plain()]
    assert started.memo.fields["fingerprint"] == plain()
    assert started.search_attributes.indexed_fields["A"] == attribute
    assert started.continued_failure.message == MARKER
    details = started.continued_failure.application_failure_info.details.payloads[0]
    assert details.metadata["encoding"] == b"json/plain"
    assert event.user_metadata.summary == plain()


@pytest.mark.parametrize("name", ["x" * CONNECTION_CHARACTERS, "é" * (CONNECTION_BYTES // 2)])
async def test_longest_name_of_a_connection_fits_into_a_summary_encrypted(name: str) -> None:
    converter = data_converter(KeyRing({"k" * 32: b"1" * 32})).with_context(
        WorkflowSerializationContext(namespace="default", workflow_id=EVENT_ID)
    )
    [summary] = await converter.encode([f"identify → {connection_name(name)}"])
    assert summary.ByteSize() <= 400  # Temporal's limit.userMetadataSummarySize
