"""What a rule says about each of Resend's actions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, StrictStr, create_model

from delivery.rule import RuleMetadata
from destinations.resend.guards import read_id

Id = Annotated[StrictStr, AfterValidator(read_id)]


class ChangeSegment(RuleMetadata):
    """`id` is the segment."""

    id: Id


class SendEvent(RuleMetadata):
    """`event_name_override` replaces the event's name."""

    event_name_override: StrictStr | None = None


class Mail(RuleMetadata):
    """`id` is the template's id or alias; without a `subject`, the template's is used.

    Resend puts variables into a template's HTML as they are. Unless `markup` is `keep`, they are
    escaped first.
    """

    id: Id
    subject: StrictStr | None = None
    markup: Literal["escape", "keep"] = "escape"


# `from` is a keyword in Python, so the field can't be declared in the class.
SendTemplate: type[Mail] = create_model(
    "SendTemplate",
    __base__=Mail,
    **{"from": (StrictStr | None, None)},  # type: ignore[call-overload]
)
