"""The effect of calls on a workspace, one per region and key. The caller sees nothing of it."""

from __future__ import annotations

from datetime import datetime, timedelta

from destinations.customerio.simulator.attributes import call_faults, stored_form, within_limits
from destinations.customerio.simulator.call import CallBody, Identifier, identifier
from destinations.customerio.simulator.events import Events, StoredEvent
from destinations.customerio.simulator.options import Options
from destinations.customerio.simulator.people import People
from destinations.customerio.simulator.person import Person

# The event names that are commands about people; the other commands are only recorded.
_DELETE = ("User Deleted", "Delete Person")
_BLOCK = "User Suppressed"
_UNBLOCK = "User Unsuppressed"
_OTHER_COMMANDS = (
    "Device Created or Updated",
    "Device Deleted",
    "Relationship Deleted",
    "Object Deleted",
    "Report Delivery Event",
    "Report Content Event",
)


class Workspace:
    """One workspace. `notices` has what its activity log would: what was dropped, and why."""

    def __init__(self, region: str) -> None:
        self.notices: list[str] = []
        self.events = Events()
        self.people = People(region, self.notices.append, self.events.move)
        self.commands: list[str] = []
        self._region = region
        self._identified_at: dict[str, datetime] = {}

    def identify(self, call: CallBody, options: Options, now: datetime) -> None:
        who = identifier(call)
        if who is None:
            self.notices.append("ignored: an identify of a visitor")
            return
        if faults := call_faults(call):
            self.notices += faults
            return
        if call.traits.get("_update") is True and self.people.find(who) is None:
            self.notices.append("dropped: an update of nobody")
            return
        person = self.people.resolve(who, call, reassign=options.email_conflict == "reassign")
        if person is None:
            return
        kept, faults = within_limits(call.traits)
        self.notices += faults
        for name in ("email", "_update"):
            kept.pop(name, None)
        person.set(stored_form(kept), call.timestamp or now, in_order=options.timestamp_order)
        if call.anonymous_id and self.people.claim_visitor(call.anonymous_id, person):
            self._identified_at[call.anonymous_id] = now
            self.events.attach(call.anonymous_id, person)

    def track(self, call: CallBody, options: Options, now: datetime) -> None:
        who = identifier(call)
        if faults := call_faults(call):
            self.notices += faults
        elif call.event in (*_DELETE, _BLOCK, _UNBLOCK, *_OTHER_COMMANDS):
            self._command(call.event, who)
        elif who is not None and self.people.is_blocked(who):
            self.notices.append("dropped: the person is suppressed")
        elif who is not None and who.kind == "cio_id" and self.people.find(who) is None:
            self.notices.append("dropped: no person has this cio_id")
        else:
            self._store(call, who, options, now)

    def _store(
        self, call: CallBody, who: Identifier | None, options: Options, now: datetime
    ) -> None:
        person = self.people.named(who) if who else self._recent_visitor(call, options, now)
        event = StoredEvent(
            name=call.event,
            region=self._region,
            properties=stored_form(call.properties),
            timestamp=call.timestamp or now,
            message_id=call.message_id,
            anonymous_id=call.anonymous_id,
            person=person,
        )
        if not self.events.store(event, dedupe=options.dedupe):
            self.notices.append("ignored: an event with this messageId was stored before")

    def _recent_visitor(self, call: CallBody, options: Options, now: datetime) -> Person | None:
        since = self._identified_at.get(call.anonymous_id or "")
        if since is None or now - since > timedelta(seconds=options.late_merge_seconds):
            return None
        return self.people.visitor(call.anonymous_id)

    def _command(self, name: str, who: Identifier | None) -> None:
        self.commands.append(name)
        if who is None:
            return
        if name in _DELETE:
            self.people.delete(who)
        elif name == _BLOCK:
            self.people.block(who)
        elif name == _UNBLOCK:
            self.people.unblock(who)
