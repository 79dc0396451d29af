"""Decode what was fetched from the server as it is stored, such as histories."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload, SearchAttributes
from temporalio.api.failure.v1 import Failure
from temporalio.client import Client
from temporalio.converter import WorkflowSerializationContext


async def decode_in_place(client: Client, event_id: str, *messages: Message) -> None:
    """Decode every payload in `messages`, which belong to the run or runs of `event_id`.

    Messages and stack traces of failures are put where unencrypted failures have them. What isn't
    encrypted stays as it is.

    Raises:
        CannotDecode: a key is missing, or a payload was changed.
    """
    context = WorkflowSerializationContext(namespace=client.namespace, workflow_id=event_id)
    codec = client.data_converter.with_context(context).payload_codec
    if codec is None:
        return
    for message in messages:
        payloads: list[Payload] = []
        failures: list[Failure] = []
        _collect(message, payloads, failures)
        for payload, decoded in zip(payloads, await codec.decode(payloads), strict=True):
            if decoded is not payload:
                payload.CopyFrom(decoded)
        for failure in failures:
            _restore(failure)


def _collect(message: Message, payloads: list[Payload], failures: list[Failure]) -> None:
    """Collect all payloads in `message` except search attributes, which are never encrypted."""
    if isinstance(message, Payload):
        payloads.append(message)
        return
    if isinstance(message, Failure) and message.HasField("encoded_attributes"):
        failures.append(message)
    for field, value in message.ListFields():
        if field.message_type is None or not _holds_payloads(field.message_type):
            continue
        if isinstance(value, Message):
            _collect(value, payloads, failures)
            continue
        for inner in value.values() if isinstance(value, Mapping) else value:
            _collect(inner, payloads, failures)


@cache
def _holds_payloads(kind: Descriptor) -> bool:
    """Whether a message of this type may hold payloads, at any depth; most of a history can't."""
    seen, left = {SearchAttributes.DESCRIPTOR}, [kind]
    while left:
        current = left.pop()
        if current is Payload.DESCRIPTOR:
            return True
        if current not in seen:
            seen.add(current)
            left += [field.message_type for field in current.fields if field.message_type]
    return False


def _restore(failure: Failure) -> None:
    try:
        attributes = json.loads(failure.encoded_attributes.data)
        message, stack_trace = attributes["message"], attributes["stack_trace"]
    except (ValueError, TypeError, KeyError):
        return
    if isinstance(message, str) and isinstance(stack_trace, str):
        failure.message, failure.stack_trace = message, stack_trace
