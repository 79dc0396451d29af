"""A template puts values in and does nothing else, whatever template and values are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.errors import MappingError
from destinations.template import LONGEST_TEMPLATE, OnMissing, read_template, render

PAYLOAD: dict[str, Any] = {
    "email": "test@example.com",
    "user": {"name": "Łódź", "tags": ["a", {"name": "b"}], "none": None, "blank": " "},
    "count": 3.0,
    "big": 10**30,
    "paid": True,
}


def rendered(
    template: str,
    *,
    longest: int = 1_000,
    on_missing: OnMissing = "fail",
) -> str:
    return render(
        read_template(template),
        PAYLOAD,
        escape=lambda value: f"[{value}]",
        longest=longest,
        on_missing=on_missing,
    )


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Hello", "Hello"),
        ("{{email}}", "[test@example.com]"),
        ("{{ user.name }} & {{email}}!", "[Łódź] & [test@example.com]!"),
        ("{{user.tags.0}}/{{user.tags.1.name}}", "[a]/[b]"),
        ("{{count}} {{big}} {{paid}}", f"[3] [{10**30}] [true]"),
        ("{{user.blank}}", "[ ]"),
        ("{email} }} {", "{email} }} {"),
        ("{{email}}}}", "[test@example.com]}}"),
        ("line\n{{email}}\n", "line\n[test@example.com]\n"),
    ],
)
def test_paths_are_replaced_by_escaped_values_and_the_rest_stays(template: str, text: str) -> None:
    assert rendered(template) == text


@pytest.mark.parametrize(
    "template",
    [
        "{{",
        "{{}}",
        "{{ }}",
        "{{email}",
        "{{email }",
        "{{{email}}}",
        "{{email|upper}}",
        "{{#if email}}",
        "{{ user..name }}",
        "{{user.name()}}",
        "{{user['name']}}",
        "{{__class__.__init__}}"[:-2],
        "{{first-name}}",
        "{{0}}",
        "{{email\n}} {{\x00}}",
        "{{" + "a" * 129 + "}}",
        "{" * 10_000,
        "{{" * 5_000,
        "{{email}}" + "{" * 9_000,
    ],
)
def test_what_is_no_path_between_braces_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="can't be read at its"):
        read_template(template)


def test_what_could_run_elsewhere_is_a_path_that_leads_nowhere() -> None:
    for path in ("__class__", "user.__class__.__mro__", "email.upper", "user.tags.9", "count.real"):
        assert rendered(f"{{{{{path}}}}}", on_missing="empty") == "[]"


@pytest.mark.parametrize("template", ["", " \n", "x" * (LONGEST_TEMPLATE + 1), "x" * 50_000])
def test_a_template_has_some_text_and_a_bound(template: str) -> None:
    with pytest.raises(ValueError, match=r"blank|at most"):
        read_template(template)


@pytest.mark.parametrize("path", ["plan", "user.none", "user.tags.2", "user.tags.name", "email.x"])
def test_a_missing_value_is_an_error_that_names_its_path_or_empty(path: str) -> None:
    with pytest.raises(MappingError, match=f"{{{{{path}}}}} has no value") as failure:
        rendered(f"a{{{{{path}}}}}b")
    assert failure.value.field == "template"
    assert rendered(f"a{{{{{path}}}}}b", on_missing="empty") == "a[]b"


@pytest.mark.parametrize(
    ("path", "kind"), [("user", "an object"), ("user.tags", "a list"), ("user.tags.1", "an object")]
)
@pytest.mark.parametrize("on_missing", ["fail", "empty"])
def test_a_list_or_an_object_is_never_put_in(path: str, kind: str, on_missing: OnMissing) -> None:
    with pytest.raises(MappingError, match=f"is {kind}; name a value inside it"):
        rendered(f"{{{{{path}}}}}", on_missing=on_missing)


def test_an_error_holds_no_value() -> None:
    with pytest.raises(MappingError) as failure:
        rendered("{{email}} {{user.name}} {{plan}}", longest=10)
    assert "test@" not in str(failure.value)


def test_the_text_s_length_bounds_it_after_escaping() -> None:
    assert rendered("{{email}}", longest=18) == "[test@example.com]"
    with pytest.raises(MappingError, match="more than 17 characters"):
        rendered("{{email}}", longest=17)


def test_many_large_values_cost_no_more_than_the_longest_text() -> None:
    escaped: list[int] = []

    def escape(value: str) -> str:
        escaped.append(len(value))
        return value

    template = "{{v}}" * (LONGEST_TEMPLATE // 5)
    for size in (1_000, 250_000):
        escaped.clear()
        with pytest.raises(MappingError):
            render(
                template,
                {"v": "x" * size},
                escape=escape,
                longest=40_000,
                on_missing="fail",
            )
        assert sum(escaped) <= 40_000 + size


@given(st.text(alphabet="{} ab.0\n", max_size=60))
def test_whatever_is_accepted_renders_and_nothing_else_does(template: str) -> None:
    try:
        read_template(template)
    except ValueError:
        return
    payload: dict[str, Any] = {"a": "{{b}}", "b": "{{a}}", "ab": "}}"}
    text = render(template, payload, escape=lambda value: value, longest=10_000, on_missing="empty")
    assert "{{" not in text.replace("{{b}}", "").replace("{{a}}", "")
