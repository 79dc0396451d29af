"""What Temporal no longer has is ignored, and nothing else."""

from __future__ import annotations

import pytest
from temporalio.service import RPCError, RPCStatusCode

from engine.missing import ignore_missing


@pytest.mark.parametrize("malformed_ids", [True, False])
@pytest.mark.parametrize("status", list(RPCStatusCode))
def test_only_what_is_missing_is_ignored(status: RPCStatusCode, malformed_ids: bool) -> None:
    ignored = {RPCStatusCode.NOT_FOUND}
    if malformed_ids:
        ignored.add(RPCStatusCode.INVALID_ARGUMENT)
    raised = None
    try:
        with ignore_missing(malformed_ids=malformed_ids):
            raise RPCError("", status, b"")
    except RPCError as err:
        raised = err.status
    assert raised == (None if status in ignored else status)
