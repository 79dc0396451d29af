"""How values become payloads: Pydantic's JSON, sealed, and no start that could wedge a task."""

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

from emitonce.codec import EncryptionCodec, cannot_decode, is_sealed
from emitonce.converter import ContextConverter, PydanticConverter
from emitonce.key_ring import KeyRing


class PayloadConverter(PydanticConverter):
    """Decodes what it can; what it can't is handed on raw when no type was asked for.

    A workflow started with the wrong number of arguments is decoded without types, before any code
    of ours runs; an exception there would fail the workflow task again and again, for ever.
    """

    def from_payloads(
        self, payloads: Sequence[Payload], type_hints: list[type] | None = None
    ) -> list[Any]:
        """Where `RawValue` is wanted or else something, what can't be read is handed on raw.

        Raises:
            CannotDecode: a value is wanted of a sealed payload.
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
        if is_sealed(payload) and wanted is not RawValue:
            raise cannot_decode(payload)
        return super().from_payloads([payload], None if wanted is None else [wanted])[0]

    def _from_untyped(self, payload: Payload) -> Any:
        try:
            return super().from_payloads([payload])[0]
        except Exception:
            return RawValue(payload)


def data_converter(ring: KeyRing | None = None) -> DataConverter:
    """What every process of ours talks to Temporal with.

    The codec is there even without a key: a process that lacks one must fail the task it can't
    read, and not take the event for garbage. With keys, failures' messages and stack traces are
    sealed, too.
    """
    ring = ring or KeyRing({})
    return ContextConverter(
        payload_converter_class=PayloadConverter,
        payload_codec=EncryptionCodec(ring),
        failure_converter_class=DefaultFailureConverter
        if ring.current is None
        else DefaultFailureConverterWithEncodedAttributes,
    )
