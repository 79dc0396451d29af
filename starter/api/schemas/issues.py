"""Failed events by connection and reason."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from starter.api.schemas.events import ListedEvent
from starter.api.schemas.redeliveries import SelectionView
from starter.api.schemas.shared import Answer, Id, Maybe, Moment, OutcomeCode


class Issue(Answer):
    """The events that failed at one connection for one reason."""

    connection: Id
    connection_name: Annotated[
        Maybe[str], Field(description="Absent if the connection was deleted.")
    ] = None
    integration_type: str
    headline: Annotated[str, Field(description="Why they failed, in one sentence.")]
    reason: Annotated[
        str, Field(description="The same in codes, as redeliveries and lists of events accept it.")
    ]
    outcome_code: OutcomeCode
    status_code: Maybe[int] = None
    error_code: Annotated[
        Maybe[str], Field(description="The destination's code, or one of emitonce's own.")
    ] = None
    error_field: Annotated[
        Maybe[str], Field(description="What was refused, where the destination says so.")
    ] = None
    events: int
    first_failed_at: Moment
    last_failed_at: Moment
    last_event: ListedEvent
    redelivery: Annotated[
        Maybe[SelectionView],
        Field(
            description="Send it to `POST /redeliveries` to deliver exactly these again. Absent if "
            "the connection was deleted, and its rules with it."
        ),
    ] = None


class IssueList(Answer):
    """The issues, those with most events first. An event that failed in several ways counts in
    each.

    Unless `complete`, more than the 10,000 events that were read have failed. For `unexplained`
    events no reason was recorded.
    """

    workspace: Id
    accepted_from: Moment
    accepted_to: Moment
    failed: int
    unexplained: int
    complete: bool
    note: Annotated[Maybe[str], Field(description="What these issues lack, in words.")] = None
    count: int
    records: list[Issue]
