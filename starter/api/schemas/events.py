"""Events and their deliveries."""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import Field

from delivery.attempt import Call
from starter.api.schemas.shared import (
    Answer,
    ErrorBody,
    EventStatus,
    Id,
    Input,
    IntegrationType,
    JsonObject,
    Maybe,
    Moment,
    OutcomeCode,
    Page,
    Text,
)

T = TypeVar("T")


class EventInput(Input):
    """One event. `workspace` is needed with a machine token and follows from a publishable key."""

    event: Annotated[
        Text,
        Field(
            min_length=1,
            max_length=100,
            description="1 to 100 bytes on one line; not blank, and without an e-mail address.",
        ),
    ]
    payload: Annotated[
        JsonObject,
        Field(
            description="Any JSON object. Who it is about: `userId`, else `email`, else "
            "`anonymousId`."
        ),
    ]
    resource: Annotated[Text | None, Field(description="Default: `global`.")] = None
    resource_id: Text | None = None
    type: Literal["event"] | None = None
    workspace: Annotated[Text | None, Field(json_schema_extra={"format": "uuid"})] = None
    timestamp: Annotated[
        Text | None,
        Field(
            description="When it happened, with an offset; default: now.",
            json_schema_extra={"format": "date-time"},
        ),
    ] = None


class OfEvent(Answer):
    """The fields that events and their deliveries share."""

    id: Id
    workspace: Id
    event: str
    resource: str
    resource_id: Maybe[str] = None
    created_by: str
    created_at: Moment


class CreatedEvent(OfEvent):
    type: Literal["event"]


class CreatedEventBody(Answer):
    event: CreatedEvent


class BulkResult(Answer):
    """`records` has one entry for each event sent, in the order sent; `count` were accepted."""

    count: Annotated[int, Field(ge=0)]
    error_count: Annotated[int, Field(ge=0)]
    records: list[CreatedEvent | ErrorBody]


class ByCall(Answer, Generic[T]):
    identify: T | None
    track: T | None
    send: Maybe[T] = None


class CallView(Answer):
    """One call of a delivery, by its last attempt."""

    outcome_code: OutcomeCode | None
    status_code: int | None
    response_excerpt: str | None
    attempt_count: int
    next_attempt_at: Moment | None
    in_flight: bool


class RuleEvent(OfEvent, ByCall[CallView]):
    """One delivery: one event × one rule.

    `identify` and `track` are null when never sent; `send` is only there when it was.
    """

    type: Literal["rule"]
    event_id: Id
    connection: Id
    connection_name: str
    rule: Id
    integration_type: IntegrationType
    status: EventStatus
    attempt_count: int
    started_at: Maybe[Moment] = None
    completed_at: Maybe[Moment] = None
    last_error: Maybe[str] = None
    headline: Annotated[
        Maybe[str],
        Field(description="Why it failed, in one sentence, with the destination's words."),
    ] = None
    held: Annotated[Maybe[str], Field(description="Why it waits for its connection.")] = None
    warnings: list[str]


class ListedEvent(CreatedEvent):
    """An event as lists show it. `event` is empty for one whose name could not be read."""

    status: EventStatus
    total_rules: int
    completed_count: Maybe[int] = None
    failed_count: Maybe[int] = None
    started_at: Moment
    completed_at: Maybe[Moment] = None
    headline: Annotated[Maybe[str], Field(description="Why it failed, in one sentence.")] = None
    next_attempt_at: Annotated[
        Maybe[Moment], Field(description="While `retrying`: when a call is made again.")
    ] = None
    person: Annotated[
        Maybe[dict[str, str]],
        Field(
            description="Who it is about, as its payload's `userId`, `email` and `anonymousId` "
            "say; only where events are encrypted, and with the scope `payload`."
        ),
    ] = None


class EventSource(Answer):
    """The publishable key that an event came with."""

    kind: Literal["publishable"]
    key: str | None
    identify: Literal["any", "anonymous"]


class EventView(ListedEvent):
    """One event with its deliveries. `source` is absent for an event from a backend."""

    completed_count: int
    failed_count: int
    error: Annotated[Maybe[str], Field(description="Why the event as a whole failed.")] = None
    test: Annotated[Maybe[bool], Field(description="True for a test event.")] = None
    source: Maybe[EventSource] = None
    temporal_url: Annotated[Maybe[str], Field(description="Its run in the Temporal Web UI.")] = None
    rule_events: list[RuleEvent]


class EventPayloadView(EventView):
    payload: JsonObject


class EventPage(Page[ListedEvent]):
    note: Annotated[
        Maybe[str],
        Field(description="Set when lists can't distinguish the requested status from others."),
    ] = None
    complete_from: Annotated[
        Maybe[Moment | None],
        Field(
            description="With `person`: events accepted before may be missing. Null: any may be, "
            "since workers don't record yet who events are about."
        ),
    ] = None


class Attempt(Answer):
    """One request made, or one that could not be made."""

    id: Id
    attempt_id: Id
    event_id: Id
    rule: Id
    connection: Id
    call: Call
    number: int
    started_at: Moment
    completed_at: Moment
    duration_ms: int
    outcome_code: OutcomeCode
    request_made: Annotated[
        bool | None,
        Field(description="Whether a request may have reached the destination; null: unknown."),
    ]
    status_code: Maybe[int] = None
    message: str
    error_code: Annotated[
        Maybe[str], Field(description="The destination's code, or one of emitonce's own.")
    ] = None
    error_field: Annotated[
        Maybe[str], Field(description="What was refused, where the destination says so.")
    ] = None
    next_attempt_at: Maybe[Moment] = None


class AttemptPage(Page[Attempt]):
    """In the order they were made. `left_out` is how many between them were not kept."""

    left_out: int


class AttemptRequest(Answer):
    body: JsonObject


class AttemptResponse(Answer):
    status_code: int
    body: Annotated[
        str, Field(description="At most 2,000 characters, free of keys and personal data.")
    ]


class ResponseDetails(Answer):
    """What was sent and what came back; `response` is null when nothing did."""

    attempt_id: Id
    outcome_code: OutcomeCode
    message: str
    request: AttemptRequest
    response: AttemptResponse | None


class Exchange(Answer):
    """One call as it was made: its request, and what its attempt came to."""

    request: JsonObject
    response: AttemptResponse | None
    outcome_code: OutcomeCode | None
    message: str | None
    duration_ms: int | None


class TestResult(ByCall[Exchange]):
    """`finished` is false when no end was seen within 30 seconds; the event continues.

    `identify` and `track` are null when they were not sent; `send` is only there when it was.
    """

    event_id: Id
    status: EventStatus
    finished: bool
    rule_event: RuleEvent | None
    error: Maybe[str] = None


class Preview(ByCall[JsonObject]):
    """The requests as they would be sent, or why none would.

    Ids and times in them are examples unless the event gives them.
    """

    matches: Annotated[bool, Field(description="Whether the rule is active and meant for it.")]
    warnings: list[str]
    error: Maybe[str] = None
