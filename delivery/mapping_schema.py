"""The stored field mapping, version 1, in the format of Meshes' API and its clients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

LONGEST_PATH = 128  # characters
PATH_PATTERN = r"^[a-zA-Z_][a-zA-Z0-9_]*(\.[a-zA-Z0-9_]+)*$"

OnError = Literal["skip_field", "warn_action", "fail_action"]


class _Part(BaseModel):
    """A strict part: a mapping with a misspelled key is refused on saving, not misread later."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Number = StrictInt | Annotated[StrictFloat, Field(allow_inf_nan=False)]


class PathSource(_Part):
    type: Literal["path"]
    value: Annotated[StrictStr, Field(min_length=1, max_length=LONGEST_PATH, pattern=PATH_PATTERN)]


class LiteralSource(_Part):
    type: Literal["literal"]
    value: (
        Annotated[StrictStr, Field(min_length=1, max_length=256)] | StrictBool | Number | None
    ) = Field(...)


class Convert(_Part):
    """A transform without options."""

    type: Literal["to_string", "to_number", "to_boolean", "trim", "lower", "upper"]


class ToTime(_Part):
    type: Literal["to_date", "to_datetime"]
    timezone: StrictStr | None = None


class Default(_Part):
    type: Literal["default"]
    value: (
        Annotated[StrictStr, Field(min_length=1, max_length=128)] | StrictBool | Number | None
    ) = Field(...)


class Substring(_Part):
    type: Literal["substring"]
    start: Annotated[StrictInt, Field(ge=0)]
    length: Annotated[StrictInt, Field(gt=0)] | None = None


Transform = Annotated[Convert | ToTime | Default | Substring, Field(discriminator="type")]


class MappedField(_Part):
    """One destination field: where its value comes from, and what to do when that fails."""

    dest: Annotated[StrictStr, Field(min_length=1, max_length=128)]
    source: Annotated[PathSource | LiteralSource, Field(discriminator="type")]
    transforms: Annotated[tuple[Transform, ...], Field(max_length=10)] = ()
    on_error: OnError = "fail_action"
    notes: Annotated[StrictStr, Field(min_length=1, max_length=1024)] | None = None


class MappingMeta(_Part):
    name: Annotated[StrictStr, Field(min_length=1, max_length=64)] | None = None
    notes: Annotated[StrictStr, Field(min_length=1, max_length=1024)] | None = None


class MappingSchema(_Part):
    schema_version: Literal[1] = 1
    fields: Annotated[tuple[MappedField, ...], Field(max_length=250)]
    meta: MappingMeta | None = None

    def document(self) -> dict[str, Any]:
        """Return it as JSON: what was left out stays out, a null that was given stays in."""
        return {
            "schema_version": self.schema_version,
            **self.model_dump(mode="json", exclude_unset=True),
        }


def same_names(names: Iterable[str]) -> MappingSchema:
    """Map payload keys to the fields of the same names, as without a stored mapping."""
    return MappingSchema(
        fields=tuple(
            MappedField(dest=name, source=PathSource(type="path", value=name)) for name in names
        )
    )
