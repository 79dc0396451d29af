"""Delivering many events again."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from delivery.selection import EVENTS_PER_SECOND, MOST_PER_SECOND
from starter.api.schemas.events import ListedEvent
from starter.api.schemas.shared import (
    Answer,
    EventStatus,
    Flag,
    Id,
    Maybe,
    Moment,
    StrictInput,
    Text,
)

RedeliveryMode = Literal["failed", "again", "identify_only"]


class RedeliveryInput(StrictInput):
    """Which events: those accepted from `accepted_from` on, before `accepted_to` (now).

    A plan's `selection` is one, so what was planned is started by sending it back.
    """

    workspace: Text
    accepted_from: AwareDatetime
    accepted_to: AwareDatetime | None = None
    as_of: Annotated[
        AwareDatetime | None,
        Field(description="What ended later isn't selected; now when absent."),
    ] = None
    connection: Text | None = None
    rule: Text | None = None
    event: Text | None = None
    reason: Annotated[
        Text | None,
        Field(
            description="Only what failed at `connection` for this reason, as an issue names it."
        ),
    ] = None
    mode: Annotated[
        RedeliveryMode,
        Field(
            description="`failed`: what has failed, under the same ids. `again`: delivered events "
            "as new ones that name the original. `identify_only`: only their people."
        ),
    ] = "failed"
    dry_run: Annotated[Flag, Field(description="Plan only: nothing is sent.")] = False
    campaigns_may_start: Annotated[
        Flag,
        Field(
            description="Must be true for `again` and `identify_only`: destinations treat "
            "them as new calls, so campaigns may start again."
        ),
    ] = False
    per_second: Annotated[float, Field(gt=0, le=MOST_PER_SECOND)] = EVENTS_PER_SECOND


class SelectionView(Answer):
    workspace: Id
    accepted_from: Moment
    accepted_to: Moment
    as_of: Moment
    connection: Maybe[Id] = None
    rule: Maybe[Id] = None
    event: Maybe[str] = None
    reason: Maybe[str] = None
    mode: RedeliveryMode


class RedeliveryPlanView(Answer):
    """`matched` is how many events would be delivered again: an estimate unless `exact`."""

    id: Id
    selection: SelectionView
    matched: int
    exact: bool
    sample: list[ListedEvent]


class EventOutcomeView(Answer):
    event_id: Id
    outcome: Literal["redelivered", "sent_again", "skipped"]
    run_id: Maybe[Id] = None
    new_event_id: Maybe[Id] = None
    reason: Maybe[str] = None
    status: Annotated[
        Maybe[EventStatus], Field(description="How the event that was started stands now.")
    ] = None


class RedeliveryProgress(Answer):
    """In events; `planned` is an estimate unless `planned_exact`.

    Of the outcomes the latest 100 are shown, and the latest 100 that were skipped.
    """

    planned: int
    planned_exact: bool
    redelivered: int
    skipped: int
    latest: list[EventOutcomeView]
    latest_skipped: list[EventOutcomeView]


class RedeliveryResult(Answer):
    """The events that were started, by how they stand now. Lists know it a moment late.

    Unless `exact`, `failed_again` and `canceled` are estimates. `redelivered_since` were
    redelivered by something else after this; how `unknown` ones stand isn't known here.
    """

    delivered: int
    failed_again: int
    canceled: int
    under_way: int
    redelivered_since: int
    unknown: int
    exact: bool


class RedeliveryView(Answer):
    """`progress` is null while no worker can be asked for it.

    `result` is null until a worker of this version has started.
    """

    id: Id
    state: Literal["running", "completed", "canceled", "failed"]
    selection: SelectionView
    started_at: Moment
    ended_at: Moment | None
    progress: RedeliveryProgress | None
    result: RedeliveryResult | None
