"""Emit events by starting their workflows, where the Temporal cluster is reached."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from temporalio.client import Client
from temporalio.envconfig import ClientConfig

from emitonce.accepted import AcceptedEvent
from emitonce.address import compression
from emitonce.at_exit import leave_in_order
from emitonce.codec import EncryptionCodec
from emitonce.converter import ContextConverter, PydanticConverter
from emitonce.errors import EmitError, InvalidSetup
from emitonce.event import NewEvent, check_idempotency_key, checked_fields, own_workspace
from emitonce.forked import connect_also_when_forked
from emitonce.handle import EventHandle, StartedEvent
from emitonce.ids import decode_secret
from emitonce.key_ring import KeyRing, parse_keys
from emitonce.many import emit_each_async
from emitonce.protocol import AsyncEmitter, workspace_may_be_first
from emitonce.published_keys import use_published_key
from emitonce.rpc import no_connection
from emitonce.start import TASK_QUEUE, WORKFLOW, EventStarter

__all__ = ["TASK_QUEUE", "WORKFLOW", "Emitter", "EventHandle"]

PAYLOAD_KEYS = "EMITONCE_PAYLOAD_KEYS"


class Emitter(AsyncEmitter):
    """Starts events. One for a process; safe to share between tasks of one event loop."""

    def __init__(
        self,
        client: Client,
        *,
        workspace: str | uuid.UUID | None = None,
        instance_secret: bytes | None = None,
        task_queue: str = TASK_QUEUE,
        eager_start: bool = False,
    ) -> None:
        """Emit through `client`, whose data converter must be the Pydantic one.

        `workspace` is that of events which name none. `instance_secret` is the server's own
        (`EMITONCE_INSTANCE_SECRET`, decoded); idempotency keys need it. With `eager_start`, a
        worker of the same client gets a new event's first task in the answer to its start, when it
        has room: for processes that emit and deliver.
        """
        self.client = client
        self._workspace = own_workspace(workspace)
        self._starter = EventStarter(
            client,
            instance_secret=instance_secret,
            task_queue=task_queue,
            eager_start=eager_start,
        )

    @classmethod
    async def connect(
        cls,
        address: str | None = None,
        *,
        namespace: str | None = None,
        workspace: str | uuid.UUID | None = None,
        instance_secret: bytes | None = None,
        payload_keys: Mapping[str, bytes] | None = None,
        task_queue: str = TASK_QUEUE,
    ) -> Emitter:
        """Connect to Temporal as its standard environment says (`TEMPORAL_ADDRESS` …).

        `workspace` is that of events which name none (`EMITONCE_WORKSPACE` where absent).
        `payload_keys` are the server's own (`EMITONCE_PAYLOAD_KEYS`, decoded): events are encrypted
        before they leave this process. Without them they are accepted as well, but stored readable.

        Raises:
            NotAccepted: no server answers there.
            InvalidSetup: a secret, key or setting is malformed, none of the keys is in use yet, or
                something else answers there; `NotAllowed` when Temporal refuses this client.
        """
        try:
            given = ClientConfig.load_client_connect_config()
        except (OSError, RuntimeError) as err:
            raise InvalidSetup(f"Temporal's settings can't be read: {err}") from err
        config: dict[str, Any] = {"target_host": "localhost:7233", **given}
        if address:
            config["target_host"] = address
        if namespace:
            config["namespace"] = namespace
        config.update(compression(config["target_host"]))
        keys = _payload_ring(payload_keys)
        config["data_converter"] = ContextConverter(
            payload_converter_class=PydanticConverter, payload_codec=EncryptionCodec(keys)
        )
        if instance_secret is None and (encoded := os.environ.get("EMITONCE_INSTANCE_SECRET")):
            try:
                instance_secret = decode_secret("EMITONCE_INSTANCE_SECRET", encoded)
            except ValueError as err:
                raise InvalidSetup(str(err)) from None
        leave_in_order()
        try:
            client = await connect_also_when_forked(**config)
        except ValueError as err:
            raise InvalidSetup(f"TEMPORAL_ADDRESS: {err}") from None
        except RuntimeError as err:
            raise no_connection(err, config["target_host"]) from err
        await use_published_key(client, keys, task_queue)
        return cls(
            client,
            workspace=workspace or os.environ.get("EMITONCE_WORKSPACE"),
            instance_secret=instance_secret,
            task_queue=task_queue,
        )

    @workspace_may_be_first
    async def emit(
        self,
        event: str,
        payload: Mapping[str, Any],
        *,
        workspace: str | uuid.UUID | None = None,
        resource: str | None = "global",
        resource_id: str | None = None,
        timestamp: datetime | str | None = None,
        idempotency_key: str | None = None,
    ) -> StartedEvent:
        """See `BlockingEmitter.emit`; the event that it returns can be waited for."""
        return await self._emit(
            NewEvent(event, payload, workspace, resource, resource_id, timestamp, idempotency_key)
        )

    async def emit_many(self, events: Iterable[NewEvent]) -> list[AcceptedEvent | EmitError]:
        """See `BlockingEmitter.emit_many`."""
        return await emit_each_async(self._emit, events)

    async def _emit(self, new: NewEvent) -> StartedEvent:
        fields = checked_fields(new, self._workspace)
        if fields["workspace"] is None:
            raise InvalidSetup("a workspace is missing: pass it to emit, or to the emitter")
        check_idempotency_key(new.idempotency_key)
        return await self._starter.start(**fields, idempotency_key=new.idempotency_key)

    def get(self, event_id: str) -> EventHandle:
        """A handle of an event emitted before; nothing is asked of the server yet."""
        return EventHandle(self.client, event_id)

    async def aclose(self) -> None:
        """Close nothing: the client belongs to whoever else uses it, and ends with the process."""


def _payload_ring(keys: Mapping[str, bytes] | None) -> KeyRing:
    """A ring of `keys`, or of `EMITONCE_PAYLOAD_KEYS`; an empty one where there is neither.

    Raises:
        InvalidSetup: a key is malformed; no part of it is shown.
    """
    try:
        if keys is None:
            text = os.environ.get(PAYLOAD_KEYS)
            keys = parse_keys(PAYLOAD_KEYS, text) if text else {}
        return KeyRing(keys)
    except ValueError as err:
        raise InvalidSetup(str(err)) from None
