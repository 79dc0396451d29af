"""What all answers are made of."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar, Union

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from destinations.registry import BY_TYPE

T = TypeVar("T")

Id = Annotated[str, Field(json_schema_extra={"format": "uuid"})]
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""RFC 3339 in UTC with milliseconds."""

# May be left out, but is never null.
Maybe = Union[T, SkipJsonSchema[None]]  # noqa: UP007  a TypeVar has no | for mypy

Text = StrictStr
Flag = StrictBool
JsonObject = dict[str, Any]

IntegrationType = Annotated[Text, WithJsonSchema({"type": "string", "enum": list(BY_TYPE)})]
EventStatus = Literal["pending", "processing", "retrying", "completed", "failed", "canceled"]
OutcomeCode = Literal[
    "delivered",
    "rejected_client_error",
    "rejected_server_error",
    "rate_limited",
    "auth_failed",
    "timeout",
    "network_error",
    "mapping_error",
    "internal_error",
]


class Answer(BaseModel):
    """What the API gives out."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Input(BaseModel):
    """What the API is given. Unknown keys are ignored: clients send objects of their own."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class StrictInput(BaseModel):
    """What no client of Meshes sends, so that a misspelt key can be refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Page(Answer, Generic[T]):
    """`count` is how many records this page has; `next_cursor` is null on the last one."""

    count: Annotated[int, Field(ge=0)]
    limit: Annotated[int, Field(gt=0)]
    next_cursor: str | None
    records: list[T]


class FaultBody(Answer):
    param: str
    msg: str


class ErrorDetail(Answer):
    name: str
    message: str
    data: Maybe[list[FaultBody]] = None


class ErrorBody(Answer):
    """`error.data` names each parameter at fault."""

    message: str
    error: ErrorDetail


class Stamped(Answer):
    created_at: Moment
    updated_at: Moment
