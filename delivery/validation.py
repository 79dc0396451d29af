"""Say in our words, instead of the framework's, why a model refused a value."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from delivery.text import kind

# One of `ValidationError.errors()`.
Found = Mapping[str, Any]

_SENTENCES: dict[str, Callable[[Found], str]] = {
    "missing": lambda _: "is missing; it is required",
    "extra_forbidden": lambda _: "is not a known field; remove it",
    "string_type": lambda found: f"must be a string{_not(found)}",
    "bool_type": lambda found: f"must be true or false{_not(found)}",
    "bool_parsing": lambda _: "must be true or false",
    "int_type": lambda found: f"must be a whole number{_not(found)}",
    "int_parsing": lambda _: "must be a whole number",
    "int_from_float": lambda _: "must be a whole number",
    "float_type": lambda found: f"must be a number{_not(found)}",
    "float_parsing": lambda _: "must be a number",
    "finite_number": lambda _: "must be a finite number",
    "dict_type": lambda found: f"must be an object{_not(found)}",
    "model_type": lambda found: f"must be an object{_not(found)}",
    "model_attributes_type": lambda found: f"must be an object{_not(found)}",
    "list_type": lambda found: f"must be a list{_not(found)}",
    "tuple_type": lambda found: f"must be a list{_not(found)}",
    "string_pattern_mismatch": lambda found: f"must match {found['ctx']['pattern']}",
    "value_error": lambda found: str(found["ctx"]["error"]),
    "union_tag_invalid": lambda found: f"must be one of {found['ctx']['expected_tags']}",
    "union_tag_not_found": lambda found: f"needs {found['ctx']['discriminator']}",
}
_SUBJECT = re.compile(r"(?:Input|String|List|Tuple|Data|Value) should ")
_DETAIL = re.compile(r" after validation|(?<=a )valid |(?<=an )valid |, unable to .*")


def problem(found: Found) -> str:
    """Describe one fault, as a clause that follows a field's name. Only the value's kind is shown.

    `found` may come with or without `include_input`.
    """
    sentence = _SENTENCES.get(found["type"])
    if sentence is not None:
        return sentence(found)
    return _DETAIL.sub("", _SUBJECT.sub("must ", found["msg"]))


def first_fault(error: ValidationError) -> tuple[str, str]:
    """Return where the first fault is, such as `fields.0.dest`, and what is wrong there."""
    found = error.errors(include_url=False)[0]
    return ".".join(map(str, found["loc"])), problem(found)


def _not(found: Found) -> str:
    """Say what the value is instead, where that is known."""
    return f", not {kind(found['input'])}" if "input" in found else ""
