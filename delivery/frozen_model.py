"""The frozen base model of every value that crosses a boundary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, JsonValue

if TYPE_CHECKING:
    JsonObject = dict[str, JsonValue]
else:
    # The values were parsed from JSON, or built from such. To validate them, Pydantic would call
    # back into Python once for each: ten thousand times for a large event, at every step.
    JsonObject = dict[str, Any]


class FrozenModel(BaseModel):
    """An immutable value. Unknown fields are ignored, so that older releases read newer data.

    Histories live for weeks: what one release recorded, another replays.
    """

    # A value that can't be read may be personal data, so errors must not repeat it.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
