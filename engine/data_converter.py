"""Convert values to payloads, as encrypted JSON of Pydantic, so that no start blocks a task."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, get_args

from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverter,
    DefaultFailureConverterWithEncodedAttributes,
)

from emitonce.codec import EncryptionCodec, cannot_decode, is_encrypted
from emitonce.converter import ContextConverter, PydanticConverter
from emitonce.key_ring import KeyRing


class PayloadConverter(PydanticConverter):
    """Decodes what it can, and passes on the rest raw if no type is wanted.

    A workflow started with the wrong number of arguments is decoded without types, before any code
    of ours runs; an exception there would fail the workflow task again and again, forever.
    """

    def from_payloads(
        self, payloads: Sequence[Payload], type_hints: list[type] | None = None
    ) -> list[Any]:
        """Where a union with `RawValue` is wanted, pass on raw what can't be read.

        Raises:
            CannotDecode: a value is wanted of a payload that is still encrypted.
        """
        if type_hints is None:
            return [self._from_untyped(payload) for payload in payloads]
        wanted = type_hints[: len(payloads)]
        return [self._from_typed(payload, one) for payload, one in zip_longest(payloads, wanted)]

    def _from_typed(self, payload: Payload, wanted: type | None) -> Any:
        if RawValue in get_args(wanted):
            [readable] = [one for one in get_args(wanted) if one is not RawValue]
            try:
                return self._from_typed(payload, readable)
            except Exception:
                return RawValue(payload)
        if is_encrypted(payload) and wanted is not RawValue:
            raise cannot_decode(payload)
        return super().from_payloads([payload], None if wanted is None else [wanted])[0]

    def _from_untyped(self, payload: Payload) -> Any:
        try:
            return super().from_payloads([payload])[0]
        except Exception:
            return RawValue(payload)


def data_converter(ring: KeyRing | None = None) -> DataConverter:
    """Make the data converter of every process.

    The codec is there even without a key: a process that lacks a key must fail the task that it
    can't read, and not mistake the event for garbage. With keys, failures' messages and stack
    traces are encrypted too.
    """
    ring = ring or KeyRing({})
    return ContextConverter(
        payload_converter_class=PayloadConverter,
        payload_codec=EncryptionCodec(ring),
        failure_converter_class=DefaultFailureConverter
        if ring.current is None
        else DefaultFailureConverterWithEncodedAttributes,
    )
