"""List one page of runs, with a cursor that can be stored."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from temporalio.client import Client, WorkflowExecution


async def list_page(
    client: Client, query: str, *, size: int, cursor: str | None
) -> tuple[Sequence[WorkflowExecution], str | None]:
    """Return at most `size` runs from `cursor` on, and the cursor of the next page."""
    token = base64.b64decode(cursor) if cursor is not None else None
    listing = client.list_workflows(query, page_size=size, next_page_token=token)
    await listing.fetch_next_page()
    following = listing.next_page_token
    return (
        listing.current_page or (),
        base64.b64encode(following).decode() if following else None,
    )
