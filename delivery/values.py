"""The base of every value that crosses a boundary: a frozen model."""

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """Immutable; unknown fields are ignored, so that a newer writer can be read by an older reader.

    Histories live for weeks: what was recorded by one version is replayed by another.
    """

    # What could not be read is personal data, so errors do not repeat it.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
