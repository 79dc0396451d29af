"""Emit events: each starts one `DeliverEvent` workflow whose id is the event's id."""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from temporalio.api.common.v1 import Payload
from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.common import (
    RawValue,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.envconfig import ClientConfig
from temporalio.exceptions import (
    ApplicationError,
    CancelledError,
    TerminatedError,
    WorkflowAlreadyStartedError,
)
from temporalio.service import RPCError, RPCStatusCode

from emitonce.address import compression
from emitonce.at_exit import leave_in_order
from emitonce.errors import (
    DeliveryFailed,
    EmitError,
    EventCanceled,
    EventNotFound,
    IdempotencyConflict,
    InvalidEvent,
    InvalidSetup,
    NotAccepted,
)
from emitonce.ids import decode_secret, event_id_for, fingerprint, resource_id_hash
from emitonce.keys_in_use import use_key_in_use
from emitonce.rpc import refusal
from emitonce.sealing import payload_ring, sealing_converter

if TYPE_CHECKING:
    from delivery.log import EventLog

WORKFLOW = "DeliverEvent"
TASK_QUEUE = "deliveries"

# The server refuses a payload over 2 MiB; saying so here names the thing and its size.
LARGEST_INPUT = 2 * 1024 * 1024 - 4096

Pair = SearchAttributePair[Any]

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

_ACCEPTED_AT = SearchAttributeKey.for_datetime("EmitonceAcceptedAt")
_WORKSPACE = SearchAttributeKey.for_keyword("EmitonceWorkspace")
_EVENT = SearchAttributeKey.for_keyword("EmitonceEvent")
_RESOURCE = SearchAttributeKey.for_keyword("EmitonceResource")
_RESOURCE_ID = SearchAttributeKey.for_keyword("EmitonceResourceId")
_STATE = SearchAttributeKey.for_keyword("EmitonceState")


class EventHandle:
    """One accepted event. `accepted_at` is None where it isn't known: for a handle from `get`."""

    def __init__(self, client: Client, event_id: str, accepted_at: datetime | None = None) -> None:
        self.id = event_id
        self.accepted_at = accepted_at
        self._client = client

    async def result(self) -> dict[str, Any]:
        """Wait until every delivery has ended, days if need be, and return the event's result.

        Raises:
            DeliveryFailed: a delivery ended in failure.
            InvalidEvent: the event could not be read.
            EventCanceled: it was canceled.
            EventNotFound: it is unknown, or past its retention.
            CannotDecode: it was encrypted, and its key is missing here.
        """
        handle: WorkflowHandle[Any, dict[str, Any]] = self._client.get_workflow_handle(
            self.id, result_type=dict
        )
        try:
            return await handle.result()
        except WorkflowFailureError as err:
            raise _failure(self.id, err.cause) from err
        except RPCError as err:
            raise _unknown(self.id, err) from err

    async def log(self) -> EventLog:
        """The event's delivery log as it stands now, every attempt on record.

        Reads Temporal's history with the server's own reader, so it needs the server's packages.

        Raises:
            EventNotFound: it is unknown, or past its retention.
            CannotDecode: it was encrypted, and its key is missing here.
        """
        try:
            from engine.event_log import EventNotFound as NoRun
            from engine.event_log import read_event_log
        except ModuleNotFoundError:
            raise EmitError(
                "the delivery log is read with the server's packages, which are not here: ask the "
                f"HTTP API, GET /api/v1/events/{self.id}"
            ) from None

        try:
            return await read_event_log(self._client, self.id)
        except NoRun as err:
            raise EventNotFound(str(err)) from None


class Emitter:
    """Starts events. One for a process; safe to share between tasks of one event loop."""

    def __init__(
        self,
        client: Client,
        *,
        instance_secret: bytes | None = None,
        task_queue: str = TASK_QUEUE,
        eager_start: bool = False,
    ) -> None:
        """Emit through `client`, whose data converter must be the Pydantic one.

        `instance_secret` is the server's own (`EMITONCE_INSTANCE_SECRET`, decoded); idempotency
        keys need it. With `eager_start`, a worker of the same client gets a new event's first task
        in the answer to its start, when it has room: for processes that emit and deliver.
        """
        self.client = client
        self._secret = instance_secret
        self._task_queue = task_queue
        self._eager_start = eager_start

    @classmethod
    async def connect(
        cls,
        address: str | None = None,
        *,
        namespace: str | None = None,
        instance_secret: bytes | None = None,
        payload_keys: Mapping[str, bytes] | None = None,
        task_queue: str = TASK_QUEUE,
    ) -> Emitter:
        """Connect to Temporal as its standard environment says (`TEMPORAL_ADDRESS` …).

        `payload_keys` are the server's own (`EMITONCE_PAYLOAD_KEYS`, decoded): events are encrypted
        before they leave this process. Without them they are taken as well, but stored readable.

        Raises:
            NotAccepted: no server answers there.
            InvalidSetup: a secret or key is malformed, none of the keys is in use yet, or the
                address can't be one.
        """
        config: dict[str, Any] = dict(ClientConfig.load_client_connect_config())
        if address:
            config["target_host"] = address
        if namespace:
            config["namespace"] = namespace
        config.setdefault("target_host", "localhost:7233")
        config.update(compression(config["target_host"]))
        keys = payload_ring(payload_keys)
        config.setdefault("data_converter", sealing_converter(keys))
        if instance_secret is None and (encoded := os.environ.get("EMITONCE_INSTANCE_SECRET")):
            try:
                instance_secret = decode_secret("EMITONCE_INSTANCE_SECRET", encoded)
            except ValueError as err:
                raise InvalidSetup(str(err)) from None
        leave_in_order()
        try:
            client = await Client.connect(**config)
        except ValueError as err:
            raise InvalidSetup(f"TEMPORAL_ADDRESS: {err}") from None
        except RPCError as err:
            raise refusal(err) from err
        except RuntimeError as err:
            raise NotAccepted(
                f"no Temporal server answers at {config['target_host']}; set TEMPORAL_ADDRESS"
            ) from err
        await use_key_in_use(client, keys, task_queue)
        return cls(client, instance_secret=instance_secret, task_queue=task_queue)

    async def emit(
        self,
        workspace: str | uuid.UUID,
        event: str,
        payload: Mapping[str, Any],
        *,
        resource: str = "global",
        resource_id: str | None = None,
        timestamp: datetime | str | None = None,
        idempotency_key: str | None = None,
        batch: bytes = b"",
        only_rules: list[str] | None = None,
        test: bool = False,
        created_by: str | None = None,
    ) -> EventHandle:
        """Accept one event; when this returns, Temporal has stored it.

        `timestamp` is when it happened (with a time zone; now, when absent). With an
        `idempotency_key`, the same key and body give the same event for as long as the namespace
        retains it; `batch` is what else must be the same then, such as all that came with it.
        `only_rules` and `test` are for trying a rule: one attempt a step, no hold. `created_by` is
        kept with the event and shown in lists: an id, no personal data.

        Raises:
            NotAccepted: Temporal did not answer, or could not store it.
            InvalidEvent: the event is refused; `IdempotencyConflict` when its key came with
                another body before.
            InvalidSetup: a namespace that isn't there, no instance secret; `NotAllowed` when
                Temporal refuses this client.
        """
        body = _body(workspace, event, payload, resource, resource_id, timestamp, only_rules, test)
        event_id, accepted_at = str(uuid.uuid4()), _now()
        memo = {} if created_by is None else {"created_by": created_by}
        if idempotency_key is not None:
            secret = self._required_secret()
            event_id = event_id_for(secret, str(workspace), idempotency_key)
            memo["fingerprint"] = fingerprint(secret, body + batch)
        try:
            await self.client.start_workflow(
                WORKFLOW,
                RawValue(Payload(metadata={"encoding": b"json/plain"}, data=body)),
                id=event_id,
                task_queue=self._task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                memo=memo or None,
                search_attributes=self._listing(
                    str(workspace), event, resource, resource_id, accepted_at, test=test
                ),
                static_summary=_summary(event, test=test),
                request_eager_start=self._eager_start,
            )
        except WorkflowAlreadyStartedError:
            accepted_at = await self._accepted_before(event_id, memo)
        except RPCError as err:
            raise refusal(err) from err
        return EventHandle(self.client, event_id, accepted_at)

    def get(self, event_id: str) -> EventHandle:
        """A handle of an event emitted before; nothing is asked of the server yet."""
        return EventHandle(self.client, event_id)

    def _required_secret(self) -> bytes:
        if self._secret is None:
            raise InvalidSetup(
                "an idempotency key needs the instance's secret: set EMITONCE_INSTANCE_SECRET to "
                "the server's own, or pass instance_secret"
            )
        return self._secret

    async def _accepted_before(self, event_id: str, memo: Mapping[str, str]) -> datetime:
        """When the event that stands for this key was accepted, if it came with the same body."""
        try:
            described = await self.client.get_workflow_handle(event_id).describe()
            first = await described.memo_value("fingerprint", None)
        except RPCError as err:
            raise refusal(err) from err
        if first is None or first != memo.get("fingerprint"):
            raise IdempotencyConflict(
                f"this idempotency key already stands for event {event_id}, whose body differs; "
                "use another key for another event"
            )
        return described.typed_search_attributes.get(_ACCEPTED_AT) or described.start_time

    def _listing(
        self,
        workspace: str,
        event: str,
        resource: str,
        resource_id: str | None,
        accepted_at: datetime,
        *,
        test: bool,
    ) -> TypedSearchAttributes:
        """What lists show; the workflow adds what is missing. No personal data."""
        pairs: list[Pair] = [Pair(_ACCEPTED_AT, accepted_at)]
        if _UUID.fullmatch(workspace):  # anything else is refused by the workflow, in words
            pairs.append(Pair(_WORKSPACE, workspace.lower()))
        for key, text in ((_EVENT, event), (_RESOURCE, resource)):
            if _fit_for_listing(text):
                pairs.append(Pair(key, text))
        if isinstance(resource_id, str) and self._secret is not None:
            hashed = resource_id_hash(self._secret, resource_id)
            pairs.append(Pair(_RESOURCE_ID, hashed))
        if test:
            pairs.append(Pair(_STATE, "test"))
        return TypedSearchAttributes(pairs)


def _now() -> datetime:
    """To the millisecond: no finer than every store of search attributes keeps it."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _body(
    workspace: str | uuid.UUID,
    event: str,
    payload: Mapping[str, Any],
    resource: str,
    resource_id: str | None,
    timestamp: datetime | str | None,
    only_rules: list[str] | None,
    test: bool,
) -> bytes:
    if not isinstance(payload, Mapping):
        raise InvalidEvent(f"payload: must be a mapping, not {type(payload).__name__}")
    if isinstance(timestamp, datetime):
        if timestamp.tzinfo is None:
            raise InvalidEvent("timestamp: has no time zone; use datetime.now(timezone.utc)")
        timestamp = timestamp.astimezone(UTC).isoformat(timespec="milliseconds")
    fields: dict[str, Any] = {
        "workspace": str(workspace),
        "event": event,
        "payload": dict(payload),
        "resource": resource,
        "resource_id": resource_id,
        "timestamp": timestamp,
    }
    if only_rules is not None:
        fields["only_rules"] = only_rules
    if test:
        fields["test"] = True
    try:
        body = json.dumps(
            fields, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode()
    except UnicodeEncodeError:
        raise InvalidEvent("payload: holds half of a surrogate pair, which is no text") from None
    except (TypeError, ValueError, RecursionError) as err:
        raise InvalidEvent(f"payload: is not JSON: {err}") from None
    if len(body) > LARGEST_INPUT:
        raise InvalidEvent(
            f"payload: the event is {len(body)} bytes, at most {LARGEST_INPUT} can be stored "
            "(Customer.io takes 32,000 for one call)"
        )
    return body


def _fit_for_listing(text: Any) -> bool:
    """A name as it should be; others are left for the workflow to refuse in words."""
    return (
        isinstance(text, str)
        and 0 < len(text.encode("utf-8", "replace")) <= 100
        and text.isprintable()
        and "@" not in text
    )


def _summary(event: str, *, test: bool) -> str | None:
    if not _fit_for_listing(event):
        return None
    return f"{event} (test)" if test else event


def _failure(event_id: str, cause: BaseException | None) -> EmitError:
    if isinstance(cause, ApplicationError):
        if cause.type == "InvalidEvent":
            return InvalidEvent(cause.message)
        details = cause.details[0] if cause.details else {}
        return DeliveryFailed(cause.message, details)
    if isinstance(cause, CancelledError | TerminatedError):
        return EventCanceled(f"event {event_id} was canceled")
    return EmitError(f"event {event_id} ended without a result: {cause}")


def _unknown(event_id: str, err: RPCError) -> EmitError:
    if err.status is RPCStatusCode.NOT_FOUND:
        return EventNotFound(f"no event {event_id} is known; it may be past its retention")
    return refusal(err)
