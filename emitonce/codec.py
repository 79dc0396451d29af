"""Encrypt what Temporal stores of an event: inputs, results, memos, heartbeats, failures.

The form is that of Temporal's own samples, so that codecs of other SDKs can write it: encoding
`binary/encrypted`, the key's id in `encryption-key-id`, and as data a nonce of 12 bytes, the
AES-256-GCM cipher text of the whole payload, and the tag. What is written here also names its event
in `emitonce-event` and is bound to it by `emitonce.payload.1|<event id>` as additional data: moved
to another event, it can't be decrypted. Without that name it is bound to nothing.

Payloads that are not encrypted pass unchanged: an emitter without a key may start events, but what
it sends stays readable in Temporal's database.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.converter import (
    ActivitySerializationContext,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)

from emitonce.errors import CannotDecode
from emitonce.key_ring import KeyRing, NotAuthentic, UnknownKey

ENCODING = b"binary/encrypted"
KEY_ID = "encryption-key-id"
EVENT = "emitonce-event"

_SHOWN_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class EncryptionCodec(PayloadCodec, WithSerializationContext):
    """Encrypts with the ring's current key, if it has one; decrypts with any."""

    def __init__(
        self, ring: KeyRing, *, event_id: str | None = None, in_activity: bool = False
    ) -> None:
        """`event_id`: payloads are bound to it, and none of another event is decrypted.

        In an activity's context a payload that can't be decrypted is passed on as it is. The SDK
        fails an activity for good when its heartbeat details can't be decoded; this way they come
        through, and the payload converter refuses them where a value is needed, with an error that
        is retried.
        """
        self.ring = ring
        self._event_id = event_id
        self._in_activity = in_activity

    def with_context(self, context: SerializationContext) -> EncryptionCodec:
        if isinstance(context, WorkflowSerializationContext | ActivitySerializationContext):
            return EncryptionCodec(
                self.ring,
                event_id=context.workflow_id,
                in_activity=isinstance(context, ActivitySerializationContext),
            )
        return self

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Leave payloads as they are that are encrypted already, by whatever key."""
        if self.ring.current is None:
            return list(payloads)
        return [one if is_encrypted(one) else self._encrypt(one) for one in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Raises `CannotDecode`."""
        return [self._decode(payload) for payload in payloads]

    def _encrypt(self, payload: Payload) -> Payload:
        event_id = self._event_id
        key_id, data = self.ring.encrypt(payload.SerializeToString(), _binding(event_id))
        metadata = {"encoding": ENCODING, KEY_ID: key_id.encode()}
        if event_id is not None:
            metadata[EVENT] = event_id.encode()
        return Payload(metadata=metadata, data=data)

    def _decode(self, payload: Payload) -> Payload:
        if not is_encrypted(payload):
            return payload
        try:
            return self._decrypt(payload)
        except CannotDecode:
            if self._in_activity:
                return payload
            raise

    def _decrypt(self, payload: Payload) -> Payload:
        named = payload.metadata.get(EVENT)
        event_id = named.decode(errors="replace") if named is not None else None
        if None not in (event_id, self._event_id) and event_id != self._event_id:
            raise CannotDecode(None)
        key_id = payload.metadata.get(KEY_ID, b"").decode(errors="replace")
        try:
            return Payload.FromString(self.ring.decrypt(key_id, payload.data, _binding(event_id)))
        except UnknownKey:
            raise cannot_decode(payload) from None
        except (NotAuthentic, DecodeError):
            raise CannotDecode(None) from None


def encrypts(client: Client) -> bool:
    """Whether what this client stores of an event, memos included, is encrypted."""
    codec = client.data_converter.payload_codec
    return isinstance(codec, EncryptionCodec) and codec.ring.current is not None


def is_encrypted(payload: Payload) -> bool:
    return payload.metadata.get("encoding") == ENCODING


def cannot_decode(payload: Payload) -> CannotDecode:
    """The error for a payload whose key is missing. A stranger may have written the key's id."""
    key_id = payload.metadata.get(KEY_ID, b"").decode(errors="replace")
    return CannotDecode(key_id if _SHOWN_KEY_ID.fullmatch(key_id) else "?")


def _binding(event_id: str | None) -> bytes | None:
    return None if event_id is None else f"emitonce.payload.1|{event_id}".encode()
