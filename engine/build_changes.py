"""Which rules' recent events would be sent otherwise by the newest build of this release."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError, RPCStatusCode

from delivery.build_messages import build_messages
from delivery.capabilities import THIS_RELEASE, UnknownToThisRelease
from delivery.errors import InvalidEvent, MappingError
from delivery.event import Event, read_event
from delivery.history import read_history
from delivery.labels import shown
from delivery.message import MessagePair
from delivery.rule import MatchedRule
from emitonce.errors import CannotDecode
from engine.codec import decode_in_place
from engine.finding import Finding, fine, warn

RECENT = timedelta(days=7)
MOST_EVENTS = 200
MOST_RULES = 20
MOST_CHANGES = 5

REMEDY = (
    "change payload or mapping if that isn't meant, before all workers know the build; see "
    "docs/mapping.md"
)


@dataclass
class _RuleChanges:
    """Of one rule: its event's name, how many were looked at, how many would be sent otherwise."""

    event: str
    total: int = 0
    changed: int = 0
    changes: dict[str, None] = field(default_factory=dict)


async def examine_build(client: Client, task_queue: str) -> AsyncIterator[Finding]:
    """One finding for each rule, or one that says that there is none.

    Recent events that were matched with an older build are built by both, and compared.
    """
    newest = THIS_RELEASE.newest_build
    matter = f"build {newest}"
    rules: dict[str, _RuleChanges] = {}
    async for run in client.list_workflows(_recent(task_queue), limit=MOST_EVENTS):
        for event, rule in await _matched(client, run):
            if rule.build < newest:
                _compare(event, rule, newest, rules.setdefault(rule.id, _RuleChanges(event.event)))
    changed = {rule_id: found for rule_id, found in rules.items() if found.changed}
    if not changed:
        events = sum(found.total for found in rules.values())
        yield fine(matter, f"sends all {events} recent deliveries of older builds alike")
    for rule_id, found in list(changed.items())[:MOST_RULES]:
        yield warn(
            matter,
            f"rule {rule_id} ({shown(found.event)}): would send {found.changed} of {found.total} "
            f"recent events otherwise: {'; '.join(list(found.changes)[:MOST_CHANGES])}",
            REMEDY,
        )
    if len(changed) > MOST_RULES:
        more = len(changed) - MOST_RULES
        yield warn(matter, f"would send recent events of {more} more rules otherwise", REMEDY)


def _recent(task_queue: str) -> str:
    since = (datetime.now(UTC) - RECENT).isoformat()
    return f"TaskQueue = '{task_queue}' AND WorkflowType = 'DeliverEvent' AND StartTime > '{since}'"


async def _matched(client: Client, run: WorkflowExecution) -> list[tuple[Event, MatchedRule]]:
    """The event with each rule it matched; none for a run that is gone or can't be read."""
    try:
        handle = client.get_workflow_handle(run.id, run_id=run.run_id)
        history = (await handle.fetch_history()).events
        await decode_in_place(client, run.id, *history)
        facts = read_history(history, ())
        event = read_event(facts.input, event_id=run.id, started_at=facts.started_at)
    except RPCError as err:
        if err.status is not RPCStatusCode.NOT_FOUND:
            raise
        return []
    except (CannotDecode, InvalidEvent):
        return []
    first_run = event.model_copy(update={"redelivery": None})
    return [(first_run, rule) for rule in facts.matched.rules] if facts.matched else []


def _compare(event: Event, rule: MatchedRule, newest: int, found: _RuleChanges) -> None:
    found.total += 1
    try:
        before = _built(event, rule)
    except UnknownToThisRelease:
        return
    changes = _changes(before, _built(event, rule.model_copy(update={"build": newest})))
    found.changed += bool(changes)
    found.changes.update(dict.fromkeys(changes))


def _built(event: Event, rule: MatchedRule) -> MessagePair | str:
    """Both messages, or why there are none."""
    try:
        return build_messages(event, rule)
    except MappingError as err:
        return f"mapping_error: {err}"


def _changes(before: MessagePair | str, after: MessagePair | str) -> list[str]:
    """What differs, in words and without values; the context is another in each build."""
    if isinstance(before, str) or isinstance(after, str):
        return [] if before == after else [after if isinstance(after, str) else "no mapping error"]
    told = [warning for warning in after.warnings if warning not in before.warnings]
    return [*_fields(before, after), *told]


def _fields(before: MessagePair, after: MessagePair) -> list[str]:
    """The names of the fields and traits that are sent otherwise."""
    old = {**before.track.body, **before.identify.body}
    new = {**after.track.body, **after.identify.body}
    names = [name for name in old | new if name not in ("traits", "context")]
    changed = [name for name in names if old.get(name) != new.get(name)]
    old_traits, new_traits = old["traits"], new["traits"]
    assert isinstance(old_traits, dict)
    assert isinstance(new_traits, dict)
    changed += [
        f"trait {shown(name)}"
        for name in old_traits | new_traits
        if old_traits.get(name) != new_traits.get(name)
    ]
    return [f"{', '.join(changed)} would differ"] if changed else []
