"""Fail a run that doesn't have exactly one argument, with a clear error.

Python would raise `TypeError` before the workflow's own code runs. That fails the workflow task,
not the workflow, and Temporal would retry it forever. The same is true of a signal, for which
nobody waits: with the wrong number of arguments it is dropped, as the SDK drops a signal that can't
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
