"""A run of ours takes exactly one argument; any other number ends the run with a clear error.

Python would raise `TypeError` before the workflow's own code runs. That fails the workflow task,
not the workflow, and the engine would try it again for ever. The same holds for a signal, which
nobody waits for: one with the wrong number of arguments is dropped, as the SDK drops one that can't
be decoded.
"""

from __future__ import annotations

import inspect
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ExecuteWorkflowInput,
    HandleSignalInput,
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

    async def handle_signal(self, input: HandleSignalInput) -> None:
        handler = workflow.get_signal_handler(input.signal)
        if handler is not None:
            try:
                inspect.signature(handler).bind(*input.args)
            except TypeError:
                workflow.logger.warning(
                    "signal %s dropped: it came with %d arguments", input.signal, len(input.args)
                )
                return
        await super().handle_signal(input)
