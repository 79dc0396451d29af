"""Encrypts what Temporal stores of an event: inputs, results, memos, heartbeats, failures.

The form is that of Temporal's own samples, so that codecs of other SDKs can write it: encoding
`binary/encrypted`, the key's id in `encryption-key-id`, and as data a nonce of 12 bytes, the
AES-256-GCM cipher text of the whole payload, and the tag. What is written here names its event,
too, in `emitonce-event`, and is bound to it by `emitonce.payload.1|<event id>` as additional data:
moved to another event, it doesn't open there. Without that name it is bound to nothing.

Payloads that are not encrypted pass unchanged: a starter without a key is as welcome as before, but
what it sends stays readable in Temporal's database.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
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
    """Seals with the ring's current key, opens with any. With an empty ring it seals nothing."""

    def __init__(
        self, ring: KeyRing, *, event_id: str | None = None, in_activity: bool = False
    ) -> None:
        """`event_id`: what is sealed is bound to it, and nothing of another event is opened.

        In an activity's context what can't be opened is handed on sealed. The SDK fails an activity
        for good when its heartbeat details can't be decoded; so they come through, and the payload
        converter refuses sealed payloads where a value is needed, with an error that is retried.
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
        """What is sealed already, by whatever key, is handed on as it is."""
        if self.ring.current is None:
            return list(payloads)
        return [one if is_sealed(one) else self._seal(one) for one in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Raises `CannotDecode`."""
        return [self._opened(payload) for payload in payloads]

    def _seal(self, payload: Payload) -> Payload:
        event_id = self._event_id
        key_id, data = self.ring.seal(payload.SerializeToString(), _binding(event_id))
        metadata = {"encoding": ENCODING, KEY_ID: key_id.encode()}
        if event_id is not None:
            metadata[EVENT] = event_id.encode()
        return Payload(metadata=metadata, data=data)

    def _opened(self, payload: Payload) -> Payload:
        if not is_sealed(payload):
            return payload
        try:
            return self._open(payload)
        except CannotDecode:
            if self._in_activity:
                return payload
            raise

    def _open(self, payload: Payload) -> Payload:
        named = payload.metadata.get(EVENT)
        event_id = named.decode(errors="replace") if named is not None else None
        if None not in (event_id, self._event_id) and event_id != self._event_id:
            raise CannotDecode(None)
        key_id = payload.metadata.get(KEY_ID, b"").decode(errors="replace")
        try:
            return Payload.FromString(self.ring.open(key_id, payload.data, _binding(event_id)))
        except UnknownKey:
            raise cannot_decode(payload) from None
        except (NotAuthentic, DecodeError):
            raise CannotDecode(None) from None


def is_sealed(payload: Payload) -> bool:
    return payload.metadata.get("encoding") == ENCODING


def cannot_decode(payload: Payload) -> CannotDecode:
    """The error for a payload whose key is missing. Its id is whatever a stranger wrote there."""
    key_id = payload.metadata.get(KEY_ID, b"").decode(errors="replace")
    return CannotDecode(key_id if _SHOWN_KEY_ID.fullmatch(key_id) else "?")


def _binding(event_id: str | None) -> bytes | None:
    return None if event_id is None else f"emitonce.payload.1|{event_id}".encode()
