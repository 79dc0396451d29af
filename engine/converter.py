"""How values become payloads: Pydantic's JSON, and no start that could wedge a workflow task."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.contrib.pydantic import PydanticPayloadConverter, pydantic_data_converter
from temporalio.converter import DataConverter


class PayloadConverter(PydanticPayloadConverter):
    """Decodes what it can; what it can't is handed on raw when no type was asked for.

    A workflow started with the wrong number of arguments is decoded without types, before any code
    of ours runs; an exception there would fail the workflow task again and again, for ever.
    """

    def from_payloads(
        self, payloads: Sequence[Payload], type_hints: list[type] | None = None
    ) -> list[Any]:
        if type_hints is not None:
            return super().from_payloads(payloads, type_hints)
        return [self._from_untyped(payload) for payload in payloads]

    def _from_untyped(self, payload: Payload) -> Any:
        try:
            return super().from_payloads([payload])[0]
        except Exception:
            return RawValue(payload)


def data_converter() -> DataConverter:
    return dataclasses.replace(pydantic_data_converter, payload_converter_class=PayloadConverter)
