"""Integrations and the retry policy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from starter.api.schemas.shared import Answer, IntegrationType, Maybe, OutcomeCode


class Option(Answer):
    label: str
    value: str


class DependsOn(Answer):
    """The field is only entered where the other one has one of these values."""

    field: str
    value: list[str]


class EnteredField(Answer):
    label: str
    key: str
    required: Maybe[bool] = None
    defaultValue: Maybe[str] = None  # noqa: N815
    options: Maybe[list[Option]] = None


class AuthenticationField(EnteredField):
    type: Literal["text", "password", "select"]
    helpText: Maybe[str] = None  # noqa: N815  Meshes' own spelling
    dependsOn: Maybe[DependsOn] = None  # noqa: N815


class IntegrationAuthentication(Answer):
    type: Literal["api_key", "basic", "none", "oauth"]
    fields: list[AuthenticationField]


class ActionInput(EnteredField):
    kind: Literal["field", "simple"]
    field: str
    type: Literal["text", "password", "textarea", "select"]
    from_: Annotated[
        Maybe[str], Field(alias="from", description="Where `GET …/actions` has what to choose.")
    ] = None
    description: Maybe[str] = None


class Display(Answer):
    label: str
    description: str


class Action(Answer):
    key: str
    label: str
    noun: str
    data: list[ActionInput]
    fields: list[str]
    display: Display


class Integration(Answer):
    name: str
    type: IntegrationType
    authentication: IntegrationAuthentication
    actions: dict[str, Action]


class Backoff(Answer):
    """The wait doubles from the first to the longest; `jitter` is its spread to either side."""

    first_seconds: float
    factor: float
    longest_seconds: float
    jitter: float


class RetryAfter(Answer):
    """A destination's `Retry-After` is kept within these bounds."""

    shortest_seconds: float
    longest_seconds: float


class AnswerRule(Answer):
    answer: str
    outcome_code: OutcomeCode
    then: Literal["done", "retry", "hold", "stop"]


class ActionDeadline(Answer):
    type: IntegrationType
    action: str
    deadline_seconds: float


class RetryPolicy(Answer):
    """`waits_seconds` are the first waits without jitter; later ones are as long as the last.

    A delivery is given up `deadline_seconds` after its event was accepted, holds included, unless
    its action is one of `action_deadlines`, which names those that are given up sooner.
    """

    backoff: Backoff
    waits_seconds: list[float]
    deadline_seconds: float
    action_deadlines: list[ActionDeadline]
    most_attempts: Annotated[int | None, Field(description="null: only the deadline ends them.")]
    retry_after: RetryAfter
    imminent_seconds: Annotated[
        float,
        Field(
            description="An attempt that is due within this time can't be brought forward (425)."
        ),
    ]
    answers: list[AnswerRule]
