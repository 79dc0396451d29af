"""An event that comes while the catalog is away waits for it, and is delivered."""

from __future__ import annotations

from typing import Any

import pytest

from catalog.errors import CatalogUnavailable
from delivery.result import Status
from tests.integration.stack import Stack


@pytest.mark.parametrize("error", [CatalogUnavailable("away"), LookupError("not foreseen")])
async def test_a_failed_lookup_is_repeated_as_an_ordinary_activity(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    lookup, failed = stack.catalog.rule_lookup, []
    match = type(lookup).match

    async def failing_once(self: Any, request: Any) -> Any:
        if not failed:
            failed.append(request)
            raise error
        return await match(self, request)

    monkeypatch.setattr(type(lookup), "match", failing_once)
    handle = await stack.emitter.emit("user.signup", {"userId": "usr_1"}, workspace=stack.workspace)
    await handle.result()
    assert failed
    assert (await stack.log(handle)).status is Status.COMPLETED
    scheduled = [
        event.activity_task_scheduled_event_attributes.activity_type.name
        async for event in stack.client.get_workflow_handle(handle.id).fetch_history_events()
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    assert scheduled == ["match_rules"]
