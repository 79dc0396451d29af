"""Make the next attempt of a step before it is due."""

from __future__ import annotations

from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import PauseActivityRequest, UnpauseActivityRequest
from temporalio.client import Client, WorkflowExecutionDescription

from delivery.signals import WaitingStep
from engine.missing import ignore_missing


class NextAttempts:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def bring_forward(self, asked: WaitingStep) -> None:
        """Pause the step, which drops its timer, then resume it, so that it runs at once.

        Safe to repeat after an interruption at any point. If the attempt has started meanwhile,
        nothing is done; but a step that is paused is resumed, whoever paused it.
        """
        handle = self._client.get_workflow_handle(asked.event_id, run_id=asked.run_id)
        service = self._client.workflow_service
        step: dict[str, Any] = {
            "namespace": self._client.namespace,
            "execution": WorkflowExecution(workflow_id=asked.event_id, run_id=asked.run_id),
            "id": asked.activity_id,
            "identity": self._client.identity,
        }
        with ignore_missing():  # the step or the run has ended
            waiting = pending(await handle.describe(), asked.activity_id)
            if waiting is None:
                return
            if not waiting.paused:
                if waiting.attempt != asked.attempt or not is_scheduled(waiting):
                    return
                await service.pause_activity(
                    PauseActivityRequest(**step, reason="its next attempt is brought forward")
                )
            await service.unpause_activity(UnpauseActivityRequest(**step))


def pending(
    described: WorkflowExecutionDescription, *activity_ids: str
) -> PendingActivityInfo | None:
    """Find the first open activity with one of these ids."""
    for info in described.raw_description.pending_activities:
        if info.activity_id in activity_ids:
            return info
    return None


def is_scheduled(info: PendingActivityInfo) -> bool:
    """Say whether an activity waits for its time or for a worker."""
    return info.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
