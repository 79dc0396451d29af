"""Find the rules whose recent events this release's newest build would send differently."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pydantic import JsonValue
from temporalio.client import Client, WorkflowExecution

from delivery.capabilities import UnknownToThisRelease
from delivery.errors import InvalidEvent, MappingError
from delivery.event import Event, read_event
from delivery.message import Messages
from delivery.rule import MatchedRule
from delivery.text import shown
from destinations.registry import build_messages, this_release
from emitonce.errors import CannotDecode
from engine.decoding import decode_in_place
from engine.missing import ignore_missing
from eventlog.history import read_history
from operations.finding import Finding, fine, warn

RECENT = timedelta(days=7)
MOST_EVENTS = 200
MOST_SECONDS = 10.0  # so that it answers on a busy server too, by fewer events
MOST_RULES = 20
MOST_CHANGES = 5

REMEDY = (
    "if that isn't wanted, change payload or mapping before all workers know the build; see "
    "docs/mapping.md"
)


@dataclass
class _RuleChanges:
    """One rule: its event, how many events were compared, how many would be sent differently."""

    event: str
    total: int = 0
    changed: int = 0
    changes: dict[str, None] = field(default_factory=dict)


async def find_build_changes(client: Client, task_queue: str) -> AsyncIterator[Finding]:
    """Report one finding for each such rule, or one that there is none.

    Recent events that were matched with an older build are built with both builds and compared.
    """
    newest = this_release().newest_build
    matter = f"build {newest}"
    rules: dict[str, _RuleChanges] = {}
    until = time.monotonic() + MOST_SECONDS
    async for run in client.list_workflows(_recent(task_queue), limit=MOST_EVENTS):
        if time.monotonic() > until:
            break
        for event, rule in await _matched(client, run):
            if rule.build < newest:
                _compare(event, rule, newest, rules.setdefault(rule.id, _RuleChanges(event.event)))
    changed = {rule_id: found for rule_id, found in rules.items() if found.changed}
    if not changed:
        events = sum(found.total for found in rules.values())
        yield fine(
            matter,
            f"sends all {events} recent deliveries of older builds just as they did"
            if events
            else "no recent delivery was made by an older build",
        )
    for rule_id, found in list(changed.items())[:MOST_RULES]:
        yield warn(
            matter,
            f"rule {rule_id} ({shown(found.event)}): would send {found.changed} of {found.total} "
            f"recent events differently: {'; '.join(list(found.changes)[:MOST_CHANGES])}",
            REMEDY,
        )
    if len(changed) > MOST_RULES:
        more = len(changed) - MOST_RULES
        yield warn(matter, f"would send recent events of {more} more rules differently", REMEDY)


def _recent(task_queue: str) -> str:
    since = (datetime.now(UTC) - RECENT).isoformat()
    return f"TaskQueue = '{task_queue}' AND WorkflowType = 'DeliverEvent' AND StartTime > '{since}'"


async def _matched(client: Client, run: WorkflowExecution) -> list[tuple[Event, MatchedRule]]:
    """Read the event with each rule it matched; none if the run was deleted or can't be read."""
    with ignore_missing(), suppress(CannotDecode, InvalidEvent):
        handle = client.get_workflow_handle(run.id, run_id=run.run_id)
        history = (await handle.fetch_history()).events
        await decode_in_place(client, run.id, *history)
        facts = read_history(history, ())
        event = read_event(facts.input, event_id=run.id, started_at=facts.started_at)
        first_run = event.model_copy(update={"redelivery": None})
        return [(first_run, rule) for rule in facts.matched.rules] if facts.matched else []
    return []


def _compare(event: Event, rule: MatchedRule, newest: int, found: _RuleChanges) -> None:
    found.total += 1
    try:
        before = _built(event, rule)
    except UnknownToThisRelease:
        return
    changes = _changes(before, _built(event, rule.model_copy(update={"build": newest})))
    found.changed += bool(changes)
    found.changes.update(dict.fromkeys(changes))


def _built(event: Event, rule: MatchedRule) -> Messages | str:
    """Build the messages, or return why that is impossible."""
    try:
        return build_messages(event, rule)
    except MappingError as err:
        return f"mapping_error: {err}"


def _changes(before: Messages | str, after: Messages | str) -> list[str]:
    """Describe what differs, without values. The context is left out, since it always differs."""
    if isinstance(before, str) or isinstance(after, str):
        return [] if before == after else [after if isinstance(after, str) else "no mapping error"]
    old, new = _flat(before), _flat(after)
    changed = [name for name in old | new if old.get(name) != new.get(name)]
    fields = [f"{', '.join(changed)} would differ"] if changed else []
    return fields + [warning for warning in after.warnings if warning not in before.warnings]


def _flat(messages: Messages) -> dict[str, JsonValue]:
    fields: dict[str, JsonValue] = {}
    for message in reversed(messages.messages):
        for name, value in message.body.items():
            if name == "traits" and isinstance(value, dict):
                fields |= {f"trait {shown(trait)}": inner for trait, inner in value.items()}
            elif name != "context":
                fields[name] = value
    return fields
