"""The base of every value that crosses a boundary: a frozen model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, JsonValue

if TYPE_CHECKING:
    JsonObject = dict[str, JsonValue]
else:
    # What it holds was parsed from JSON or built of what was. Pydantic would ask Python once for
    # each value, ten thousand times for a large event, wherever one is handed on.
    JsonObject = dict[str, Any]


class Value(BaseModel):
    """Immutable; unknown fields are ignored, so that a newer writer can be read by an older reader.

    Histories live for weeks: what was recorded by one version is replayed by another.
    """

    # What could not be read is personal data, so errors do not repeat it.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
