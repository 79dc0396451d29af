"""What is wrong with a value is said in our words, whatever a framework would say."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from delivery.mapping_schema import MappingSchema
from delivery.validation import problem
from starter.api.schemas.rules import ChangedRule, RuleInput

FRAMEWORK = re.compile(r"Value error|Input |should|Extra inputs|Field required|valid ")


class Sample(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(min_length=2, max_length=3, pattern="^[a-z]+$")] = "ab"
    number: Annotated[int, Field(ge=1, le=9)] = 1
    share: float = 0.5
    flag: bool = False
    choice: Literal["us", "eu"] = "us"
    names: Annotated[list[str], Field(max_length=1)] = []

    @field_validator("share")
    @classmethod
    def whole(cls, share: float) -> float:
        if share > 1:
            raise ValueError("is more than all there is")
        return share


def problems(model: type[BaseModel], value: Any) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(model).validate_python(value)
    return {
        ".".join(map(str, found["loc"])): problem(found)
        for found in caught.value.errors(include_url=False)
    }


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"text": 7}, "must be a string, not a number"),
        ({"text": "a"}, "must have at least 2 characters"),
        ({"text": "abcd"}, "must have at most 3 characters"),
        ({"text": "AB"}, "must match ^[a-z]+$"),
        ({"number": "x"}, "must be a whole number"),
        ({"number": 0}, "must be greater than or equal to 1"),
        ({"number": None}, "must be a whole number, not null"),
        ({"share": "x"}, "must be a number"),
        ({"share": 2}, "is more than all there is"),
        ({"flag": "perhaps"}, "must be true or false"),
        ({"flag": []}, "must be true or false, not a list"),
        ({"choice": "uk"}, "must be 'us' or 'eu'"),
        ({"names": {}}, "must be a list, not an object"),
        ({"names": ["a", "b"]}, "must have at most 1 item, not 2"),
        ({"colour": 1}, "is not a known field; remove it"),
    ],
)
def test_a_fault_is_a_clause_that_follows_the_field(value: dict[str, Any], told: str) -> None:
    assert list(problems(Sample, value).values()) == [told]


@pytest.mark.parametrize(
    ("model", "value"),
    [
        (RuleInput, {}),
        (RuleInput, {"workspace": 1, "event": "", "metadata": {"on_limit": 1}, "resource_id": " "}),
        (ChangedRule, {"metadata": [], "active": 1, "colour": 2}),
        (MappingSchema, {"schema_version": 2, "fields": [{"source": {"type": "x"}}, {}, 7]}),
        (MappingSchema, {"fields": [{"dest": "a", "source": {}, "transforms": [{"type": "x"}]}]}),
    ],
)
def test_the_models_of_the_api_never_speak_as_the_framework_does(
    model: type[BaseModel], value: dict[str, Any]
) -> None:
    told = problems(model, value)
    assert told
    assert [text for text in told.values() if FRAMEWORK.search(text)] == []
