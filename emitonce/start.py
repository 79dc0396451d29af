"""How an event gets in: the start of one `DeliverEvent` workflow whose id is the event's id.

`Emitter` does it for backends, which see only its arguments. The server, which has read the event
already, does it with what is its own: batches, rule trials, who emitted.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.common import (
    Priority,
    RawValue,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from emitonce.codec import encrypts
from emitonce.errors import IdempotencyConflict, InvalidSetup
from emitonce.event import encode, is_uuid
from emitonce.handle import StartedEvent
from emitonce.ids import event_id_for, fingerprint, person_hash, resource_id_hash
from emitonce.people import identifiers
from emitonce.rpc import refusal
from emitonce.size import LARGEST_PAYLOAD
from emitonce.timestamp import timestamp_text

WORKFLOW = "DeliverEvent"
TASK_QUEUE = "deliveries"

Pair = SearchAttributePair[Any]

_ACCEPTED_AT = SearchAttributeKey.for_datetime("EmitonceAcceptedAt")
_WORKSPACE = SearchAttributeKey.for_keyword("EmitonceWorkspace")
_EVENT = SearchAttributeKey.for_keyword("EmitonceEvent")
_RESOURCE = SearchAttributeKey.for_keyword("EmitonceResource")
_RESOURCE_ID = SearchAttributeKey.for_keyword("EmitonceResourceId")
_STATE = SearchAttributeKey.for_keyword("EmitonceState")
# Workers of 0.2 and newer register it. A start that sets it in a namespace without is refused.
_PEOPLE = SearchAttributeKey.for_keyword_list("EmitoncePeople")
LOOK_AGAIN_SECONDS = 300.0

# In bytes; Temporal refuses longer ones.
LONGEST_FAIRNESS_KEY = 64


@dataclass(frozen=True)
class KeyNamespace:
    """Where one credential's idempotency keys belong: others' keys never stand for its events.

    `creators` are the ids of all that share it: a credential and the ones that it replaced. In
    earlier releases all credentials of a workspace shared one namespace: `shared` means that these
    still use that one, `looks_back` that an event of theirs may have been started in it.
    """

    id: str
    creators: frozenset[str]
    shared: bool = False
    looks_back: bool = False


class EventStarter:
    """Starts events as they are given; the workflow refuses what it can't read."""

    def __init__(
        self,
        client: Client,
        *,
        instance_secret: bytes | None = None,
        task_queue: str = TASK_QUEUE,
        eager_start: bool = False,
        largest_payload: int = LARGEST_PAYLOAD,
    ) -> None:
        """See `Emitter`. `largest_payload` is in bytes."""
        self.client = client
        self._secret = instance_secret
        self._task_queue = task_queue
        self._eager_start = eager_start
        self._largest_payload = largest_payload
        self._no_people_until = 0.0

    async def start(
        self,
        workspace: str | uuid.UUID,
        event: str,
        payload: Mapping[str, Any],
        *,
        resource: str | None = "global",
        resource_id: str | None = None,
        timestamp: datetime | str | None = None,
        idempotency_key: str | None = None,
        namespace: KeyNamespace | None = None,
        source: Mapping[str, str] | None = None,
        batch: bytes = b"",
        only_rules: list[str] | None = None,
        test: bool = False,
        created_by: str | None = None,
        hops: int = 0,
    ) -> StartedEvent:
        """Start one event; when this returns, Temporal has stored it.

        `namespace` is whose the idempotency key is; absent, it is the workspace's. `batch` is what
        else must be the same when an idempotency key comes again, such as all that came with the
        event. `source` says of an event that it is not a backend's. `only_rules` and `test` are for
        trying a rule: one attempt a step, no hold. `created_by` is kept with the event and shown in
        lists: an id, no personal data. `hops` are the webhooks that the event has come through.

        Raises:
            NotAccepted, InvalidEvent, InvalidSetup: as `Emitter.emit` does.
        """
        fields: dict[str, Any] = {
            "workspace": str(workspace),
            "event": event,
            "payload": payload,
            "resource": resource,
            "resource_id": resource_id,
            "timestamp": timestamp_text(timestamp),
        }
        if only_rules is not None:
            fields["only_rules"] = only_rules
        if test:
            fields["test"] = True
        body = encode(fields, self._largest_payload)
        event_id, accepted_at = str(uuid.uuid4()), _now()
        memo: dict[str, Any] = {} if created_by is None else {"created_by": created_by}
        about = identifiers(payload)
        if about and encrypts(self.client):
            memo["person"] = about
        if idempotency_key is not None:
            secret, owner = self._required_secret(), str(workspace)
            memo["fingerprint"] = fingerprint(secret, body + batch)
            event_id = event_id_for(secret, owner, idempotency_key)
            if namespace is not None and not namespace.shared:
                if namespace.looks_back and (
                    before := await self._started_in_shared(event_id, memo, namespace)
                ):
                    return self._started(event_id, event, owner, before)
                event_id = event_id_for(secret, owner, idempotency_key, namespace=namespace.id)
        if source is not None:  # no part of what the key stands for: a key's rights may change
            body = body[:-1] + b',"source":' + encode(source) + b"}"
        if hops:
            body = body[:-1] + b',"hops":%d}' % hops

        async def start(listing: list[Pair]) -> None:
            await self.client.start_workflow(
                WORKFLOW,
                json_input(body),
                id=event_id,
                task_queue=self._task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                memo=memo or None,
                search_attributes=TypedSearchAttributes(listing),
                static_summary=_summary(event, test=test),
                request_eager_start=self._eager_start,
                priority=fairness(str(workspace), event),
            )

        listing = self._listing(
            str(workspace), event, resource, resource_id, accepted_at, test=test
        )
        people = self._people(str(workspace), about.values())
        try:
            try:
                await start([*listing, *people])
            except RPCError as err:
                if not people or not _lacks_people(err):
                    raise
                self._no_people_until = time.monotonic() + LOOK_AGAIN_SECONDS
                await start(listing)
        except WorkflowAlreadyStartedError:
            accepted_at = await self._accepted_before(event_id, memo, namespace)
        except RPCError as err:
            raise refusal(err) from err
        return self._started(event_id, event, str(workspace), accepted_at)

    def _started(
        self, event_id: str, event: str, workspace: str, accepted_at: datetime
    ) -> StartedEvent:
        return StartedEvent(self.client, event_id, event, workspace.lower(), accepted_at)

    def _required_secret(self) -> bytes:
        if self._secret is None:
            raise InvalidSetup(
                "an idempotency key needs the instance's secret: set EMITONCE_INSTANCE_SECRET to "
                "the server's own, or pass instance_secret"
            )
        return self._secret

    async def _started_in_shared(
        self, event_id: str, memo: Mapping[str, Any], namespace: KeyNamespace
    ) -> datetime | None:
        """When the event was accepted that got this key while all senders shared one namespace.

        None if there is none, or if it is someone else's, which must not get in the way.
        """
        try:
            described = await self.client.get_workflow_handle(event_id).describe()
            creator = await described.memo_value("created_by", None)
        except RPCError as err:
            if err.status is RPCStatusCode.NOT_FOUND:
                return None
            raise refusal(err) from err
        if creator not in namespace.creators:
            return None
        return await _accepted_at_first(described, memo, namespace)

    async def _accepted_before(
        self, event_id: str, memo: Mapping[str, Any], namespace: KeyNamespace | None
    ) -> datetime:
        """When the event that stands for this key was accepted, if it came with the same body."""
        try:
            described = await self.client.get_workflow_handle(event_id).describe()
            return await _accepted_at_first(described, memo, namespace)
        except RPCError as err:
            raise refusal(err) from err

    def _listing(
        self,
        workspace: str,
        event: str,
        resource: str | None,
        resource_id: str | None,
        accepted_at: datetime,
        *,
        test: bool,
    ) -> list[Pair]:
        """What lists show; the workflow adds what is missing. No personal data."""
        pairs: list[Pair] = [Pair(_ACCEPTED_AT, accepted_at)]
        if is_uuid(workspace):  # anything else is refused by the workflow, in words
            pairs.append(Pair(_WORKSPACE, workspace.lower()))
        for key, text in ((_EVENT, event), (_RESOURCE, resource)):
            if _fit_for_listing(text):
                pairs.append(Pair(key, text))
        if isinstance(resource_id, str) and self._secret is not None:
            hashed = resource_id_hash(self._secret, resource_id)
            pairs.append(Pair(_RESOURCE_ID, hashed))
        if test:
            pairs.append(Pair(_STATE, "test"))
        return pairs

    def _people(self, workspace: str, about: Iterable[str]) -> list[Pair]:
        """By whom the event can be found, where the namespace has the attribute for it."""
        if self._secret is None or time.monotonic() < self._no_people_until:
            return []
        hashes = [person_hash(self._secret, workspace, identifier) for identifier in about]
        return [Pair(_PEOPLE, list(dict.fromkeys(hashes)))] if hashes else []


async def _accepted_at_first(
    described: WorkflowExecutionDescription,
    memo: Mapping[str, Any],
    namespace: KeyNamespace | None,
) -> datetime:
    """When it was accepted.

    Raises:
        IdempotencyConflict: it came with another body, or from someone else; which of both, and
            what event it is, is not revealed to a credential that may not read events.
    """
    first = await described.memo_value("fingerprint", None)
    same = first is not None and first == memo.get("fingerprint")
    if namespace is not None:
        if not same or await described.memo_value("created_by", None) not in namespace.creators:
            raise IdempotencyConflict(
                "this idempotency key already stands for another event; use another key"
            )
    elif not same:
        raise IdempotencyConflict(
            f"this idempotency key already stands for event {described.id}, whose body differs; "
            "use another key for another event"
        )
    return described.typed_search_attributes.get(_ACCEPTED_AT) or described.start_time


def json_input(body: bytes) -> RawValue:
    """Hand a workflow its input in the very bytes of `body`, whatever converts other values."""
    return RawValue(Payload(metadata={"encoding": b"json/plain"}, data=body))


def fairness(workspace: str, event: str) -> Priority:
    """Give events of one name in one workspace a fairness key of their own.

    If fairness is enabled, tasks of different keys take turns. Names that start with the same bytes
    may share a key.
    """
    if not is_uuid(workspace):
        return Priority.default
    name = event if _fit_for_listing(event) else ""
    key = f"{workspace.lower()}/{name}".encode()[:LONGEST_FAIRNESS_KEY]
    return Priority(fairness_key=key.decode(errors="ignore"))


def _lacks_people(err: RPCError) -> bool:
    return err.status is RPCStatusCode.INVALID_ARGUMENT and _PEOPLE.name in err.message


def _now() -> datetime:
    """To the millisecond: no finer than every store of search attributes keeps it."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _fit_for_listing(text: Any) -> bool:
    """A name as it should be; others are left for the workflow to refuse in words."""
    return (
        isinstance(text, str)
        and 0 < len(text.encode("utf-8", "replace")) <= 100
        and text.isprintable()
        and "@" not in text
    )


def _summary(event: str, *, test: bool) -> str | None:
    if not _fit_for_listing(event):
        return None
    return f"{event} (test)" if test else event
