"""Convert values to payloads as Pydantic's JSON, by parts that are made once.

The SDK makes a payload converter for each workflow and binds a data converter to each workflow and
activity. With its own parts that means new type adapters each time, which costs more than the
conversion itself.
"""

from __future__ import annotations

from typing import Self

from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
    SerializationContext,
    WithSerializationContext,
)

_JSON = PydanticJSONPlainPayloadConverter()
_ENCODINGS = tuple(
    _JSON if isinstance(one, JSONPlainPayloadConverter) else one
    for one in DefaultPayloadConverter.default_encoding_payload_converters
)


class PydanticConverter(CompositePayloadConverter):
    """`temporalio.contrib.pydantic`'s, with one cache of type adapters for all instances."""

    def __init__(self) -> None:
        super().__init__(*_ENCODINGS)


class ContextConverter(DataConverter):
    """Binds its codec, the only part that depends on what a payload belongs to."""

    def with_context(self, context: SerializationContext) -> Self:
        """The same, with the codec bound to the workflow or activity of `context`."""
        bound = object.__new__(type(self))
        bound.__dict__.update(self.__dict__)  # what `copy.copy` does, in a third of the time
        if isinstance(self.payload_codec, WithSerializationContext):
            bound.__dict__["payload_codec"] = self.payload_codec.with_context(context)
        return bound
