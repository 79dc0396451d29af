"""A run's history as tests look at it: did a workflow task fail, and what texts does it hold?"""

from __future__ import annotations

import base64
import json
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHistory

# Where the event itself and the exact request stand, personal data and all.
_MESSAGES = ("workflowExecutionStartedEventAttributes", "activityTaskScheduledEventAttributes")


async def fetch_history(client: Client, event_id: str) -> WorkflowHistory:
    return await client.get_workflow_handle(event_id).fetch_history()


async def task_failures(client: Client, event_id: str) -> list[HistoryEvent]:
    """Workflow tasks that failed or timed out: a run with one of them may never end."""
    history = await fetch_history(client, event_id)
    return [
        event
        for event in history.events
        if event.event_type
        in (EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED, EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT)
    ]


async def history_text(client: Client, event_id: str) -> str:
    """Everything in the history, payloads decoded."""
    return readable(await fetch_history(client, event_id))


async def text_beside_messages(client: Client, event_id: str) -> str:
    """The history without the event as it came and the requests as they were sent."""
    history = (await fetch_history(client, event_id)).to_json_dict()
    return json.dumps([_without_message(decoded(event)) for event in history["events"]])


def readable(history: WorkflowHistory) -> str:
    return json.dumps(decoded(history.to_json_dict()), ensure_ascii=False)


def decoded(value: Any) -> Any:
    """`value` with each payload's base64 replaced by what it stands for."""
    if isinstance(value, list):
        return [decoded(item) for item in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("data"), str) and "metadata" in value:
        return _text(base64.b64decode(value["data"]))
    return {name: decoded(item) for name, item in value.items()}


def _text(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode(errors="replace")


def _without_message(event: dict[str, Any]) -> dict[str, Any]:
    for name in _MESSAGES:
        for argument in event.get(name, {}).get("input", {}).get("payloads", []):
            if isinstance(argument, dict):
                argument.pop("message", None)
                argument.pop("payload", None)
    return event
