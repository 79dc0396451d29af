"""What is posted to Slack: the template's own text as written, values of events never as markup."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.errors import InvalidField, MappingError
from delivery.message import Message
from destinations.registry import BY_TYPE, build_messages
from destinations.slack.build import LONGEST_TEXT
from tests.unit.delivery_samples import event, rule_of

CHANNEL = "C0123456789"
SLACK = BY_TYPE["slack"]


def built(payload: dict[str, Any], template: str, **metadata: Any) -> Message:
    chosen = {"id": CHANNEL, "template": template, **metadata}
    matched = rule_of("slack", action="send_message", **chosen)
    [message] = build_messages(event(payload), matched).messages
    return message


def text(value: str, template: str = "{{v}}") -> str:
    return str(built({"v": value}, template).body["text"])


def test_one_message_goes_to_the_channel_and_links_and_mentions_nothing() -> None:
    message = built({"email": "test@example.com"}, "*New*: {{email}}")
    assert message.call == "send"
    assert message.body == {
        "channel": CHANNEL,
        "text": "*New*: test@example.com",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def test_each_channel_has_a_pace_of_its_own() -> None:
    assert SLACK.requests_per_second == 1
    paces = {SLACK.paced_by(built({}, "Hello", id=id)) for id in (CHANNEL, "C2", "C2")}
    assert paces == {CHANNEL, "C2"}


@pytest.mark.parametrize(
    ("value", "escaped"),
    [
        ("<!channel>", "&lt;!channel&gt;"),
        ("<!here|all>", "&lt;!here|all&gt;"),
        ("<@U0123>", "&lt;@U0123&gt;"),
        ("<https://example.com|bank>", "&lt;https://example.com|bank&gt;"),
        ("a & b &lt;!channel&gt;", "a &amp; b &amp;lt;!channel&amp;gt;"),
    ],
)
def test_a_value_is_never_markup(value: str, escaped: str) -> None:
    assert text(value) == escaped


def test_what_the_template_s_author_wrote_stays() -> None:
    assert text("x & y", "<!here> see <https://example.com/a?b=1&c={{v}}|{{v}}> &amp;") == (
        "<!here> see <https://example.com/a?b=1&c=x &amp; y|x &amp; y> &amp;"
    )


@given(st.lists(st.text(max_size=20), min_size=2, max_size=2))
def test_values_open_and_close_no_angle_bracket(values: list[str]) -> None:
    payload = {"a": "x" + values[0], "b": values[1]}
    sent = str(built(payload, "<!here> {{a}}{{b}} <https://x.test/{{b}}|{{a}}>").body["text"])
    assert re.findall(r"[<>]", sent) == ["<", ">", "<", ">"]
    assert re.findall(r"<![^>]*>", sent) == ["<!here>"]


@pytest.mark.parametrize("template", ["<{{v}}>", "<!{{v}}>", "a <{{ v }}|b>", "<! {{v}}"])
def test_a_value_can_t_stand_where_it_could_mention_everybody(template: str) -> None:
    refused(template=template, told="directly after <")


@pytest.mark.parametrize("id", ["#general", "general", "C", "c0123456789", "", "C" * 40, "C01 23"])
def test_a_channel_is_named_by_its_id(id: str) -> None:
    refused(id=id, told="must be a channel's id")


@pytest.mark.parametrize("template", ["{{", "{{#each users}}", " "])
def test_a_template_that_can_t_be_rendered_is_refused_on_saving(template: str) -> None:
    refused(template=template, told="template: ")


def refused(told: str, **metadata: str) -> None:
    given = {"action": "send_message", "id": CHANNEL, "template": "Hello", **metadata}
    action = SLACK.action("send_message")
    assert action is not None
    with pytest.raises(InvalidField, match=re.escape(told)):
        action.read_metadata(given)


def test_channel_and_template_are_required() -> None:
    action = SLACK.action("send_message")
    assert action is not None
    for key in ("id", "template"):
        given = {"action": "send_message", "id": CHANNEL, "template": "Hello"}
        del given[key]
        with pytest.raises(InvalidField, match=f"{key}: is missing"):
            action.read_metadata(given)


def test_a_text_that_slack_would_cut_off_is_not_sent() -> None:
    assert len(text("x" * LONGEST_TEXT)) == LONGEST_TEXT
    with pytest.raises(MappingError, match="more than 40,000 characters"):
        text("x" * (LONGEST_TEXT + 1))
    with pytest.raises(MappingError, match="more than 40,000 characters"):
        text("&" * 10_000)


def test_a_text_that_is_blank_with_its_values_is_not_sent() -> None:
    with pytest.raises(MappingError, match="is blank once its values are put in"):
        text("  ")
    with pytest.raises(MappingError, match="is blank once its values are put in"):
        built({}, "{{plan}}", on_missing="empty")


def test_a_missing_value_fails_the_delivery_unless_the_rule_says_otherwise() -> None:
    with pytest.raises(MappingError, match=r"\{\{plan\}\} has no value"):
        built({}, "Plan: {{plan}}.")
    assert built({}, "Plan: {{plan}}.", on_missing="empty").body["text"] == "Plan: ."


def test_a_key_for_anonymous_visitors_posts_about_nobody_known() -> None:
    matched = rule_of("slack", action="send_message", id=CHANNEL, template="A visitor")
    anonymous = matched.model_copy(update={"anonymous_only": True})
    assert build_messages(event({"plan": "pro"}), anonymous).messages
    with pytest.raises(MappingError, match="names a person"):
        build_messages(event({"email": "test@example.com"}), anonymous)


@pytest.mark.parametrize(
    "token", ["", "abc", "xoxb-1 2", "xoxb-1\n2", "xoxb-é", "xoxb-" + "1" * 255, "Bearer xoxb-1"]
)
def test_what_is_no_token_is_refused_without_repeating_it(token: str) -> None:
    with pytest.raises(InvalidField) as failure:
        SLACK.read_fields({"access_token": token})
    assert not token or token not in str(failure.value)
    assert SLACK.read_fields({"access_token": " xoxb-1 "}) == {"access_token": "xoxb-1"}


def test_the_rule_of_the_docs_is_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "slack.md").read_text()
    [example] = re.findall(r"```json\n(.*?)```", page, re.S)
    action = SLACK.action("send_message")
    assert action is not None
    assert action.read_metadata(json.loads(example)) == json.loads(example)
