"""Ignore that Temporal no longer has what it is asked about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from temporalio.service import RPCError, RPCStatusCode


@contextmanager
def ignore_missing(*, malformed_ids: bool = False) -> Iterator[None]:
    """Leave the block when Temporal answers `NOT_FOUND`: deleted, ended, or never there.

    With `malformed_ids`, also when it refuses an id that nothing can have.
    """
    try:
        yield
    except RPCError as err:
        malformed = malformed_ids and err.status is RPCStatusCode.INVALID_ARGUMENT
        if err.status is not RPCStatusCode.NOT_FOUND and not malformed:
            raise
