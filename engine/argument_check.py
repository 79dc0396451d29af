"""A run of ours takes exactly one argument; any other number ends the run with a clear error.

Python would raise `TypeError` before the workflow's own code runs. That fails the workflow task,
not the workflow, and the engine would try it again for ever.
"""

from __future__ import annotations

from typing import Any

from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)


class ArgumentCheck(Interceptor):
    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        return _OneArgument


class _OneArgument(WorkflowInboundInterceptor):
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        if len(input.args) != 1:
            reason = f"one JSON object is needed, {len(input.args)} arguments were given"
            raise ApplicationError(
                f"input: {reason}",
                {"field": "input", "reason": reason},
                type="InvalidEvent",
                non_retryable=True,
            )
        return await super().execute_workflow(input)
