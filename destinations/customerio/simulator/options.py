"""Behavior about which the vendor publishes nothing exact, so that it can be switched."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Options(BaseModel):
    """The defaults fit the vendor's documents and clients best."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Body of the 401 in strict mode.
    unauthorized_body: Literal["empty", "meta"] = "empty"

    # "32KB": 32,768 by the vendor's Python and Node clients, 32,000 by its Go client.
    max_body_bytes: int = Field(default=32_768, ge=1)

    # In strict mode. Whatever is answered, an oversize request is not stored.
    oversize_status: Literal[200, 400, 413] = 400

    # Over-long names, values and ids, too many traits: left out after a 200, or refused.
    over_limit: Literal["drop", "refuse"] = "drop"

    # Which repeated `messageId`s of track are stored only once.
    dedupe: Literal["ulid", "any", "off"] = "ulid"

    # How long after an identify a visitor's events still go to the person.
    late_merge_seconds: float = Field(default=300, ge=0)

    # A new id with the e-mail of a person with another id: two people, or one with the new id.
    email_conflict: Literal["keep", "reassign"] = "keep"

    # Whether an identify with an older timestamp leaves newer attributes unchanged.
    timestamp_order: bool = True

    # Requests per second and key; absent: no limit.
    rate_limit: int | None = Field(default=None, ge=1)

    # Refuse with 429, or answer 200 and store nothing.
    rate_limit_action: Literal["429", "drop"] = "429"

    # `Retry-After` of that 429, as it is.
    rate_limit_retry_after: str | None = None
