"""An event that was emitted before, and how it ended."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError, TerminatedError
from temporalio.service import RPCError, RPCStatusCode

from emitonce.accepted import AcceptedEvent
from emitonce.errors import DeliveryFailed, EmitError, EventCanceled, EventNotFound, InvalidEvent
from emitonce.rpc import refusal


class EventHandle:
    """One event. `accepted_at` is None where it isn't known: for a handle from `Emitter.get`."""

    id: str

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


class StartedEvent(AcceptedEvent, EventHandle):
    """An accepted event that can be waited for."""

    def __init__(
        self, client: Client, event_id: str, event: str, workspace: str, created_at: datetime
    ) -> None:
        AcceptedEvent.__init__(self, event_id, event, workspace, created_at)
        self.accepted_at = created_at
        self._client = client


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
