"""Keys of a payload that a rule's form offers, and keys that it names but the payload lacks."""

from __future__ import annotations

from delivery.message import Message
from destinations.customerio.destination import CUSTOMER_IO
from starter.console.mapping_form import Row, Step
from starter.console.message_table import LONGEST_TEXT, MOST_ROWS, tables
from starter.console.payload_keys import MOST_OFFERED, missing, more_keys, paths
from starter.console.rule_form import RuleForm

PAYLOAD = {"total": 5, "user": {"id": "u1", "e mail": 1}, "items": [{"sku": "A"}], "tags": ["x"]}


def test_paths_lead_to_values_and_are_few() -> None:
    assert list(paths(PAYLOAD)) == ["total", "tags", "user.id", "items.0.sku"]
    assert len(list(paths({f"k{n}": n for n in range(1_000)}))) == MOST_OFFERED


def test_keys_complete_what_is_typed() -> None:
    assert list(more_keys("", {"a": 1, "b": 2})) == ["a", "b"]
    assert list(more_keys("a, ", {"a": 1, "b": 2})) == ["a, b"]
    assert list(more_keys("gone, b", {"a": 1, "b": 2})) == ["a", "b"]


def test_what_leads_nowhere_is_said_unless_it_is_expected() -> None:
    rows = [
        Row(dest="email", value="email"),
        Row(dest="userId", value="user.none"),
        Row(dest="plan", value="user.plan", steps=[Step("default", "free")]),
        Row(dest="source", kind="fixed", value="web"),
    ]
    form = RuleForm(CUSTOMER_IO, rows=rows, given={"track_properties": "total, coupon"})
    assert list(missing(form, PAYLOAD)) == [
        "userId: “user.none” isn't in this payload.",
        "Properties of the event: this payload has no “coupon”.",
    ]


def test_what_is_said_of_very_many_keys_is_bounded() -> None:
    payload = dict.fromkeys(map(str, range(10_000)))
    chosen = ",".join(payload)
    assert max(map(len, more_keys(chosen, payload))) < 2_000
    form = RuleForm(CUSTOMER_IO, given={"track_properties": chosen})
    assert len(list(missing(form, {}))) == MOST_OFFERED


def test_tables_show_person_traits_and_event_once() -> None:
    shown = tables(
        [
            Message(
                call="identify",
                body={"userId": "u1", "traits": {"plan": "pro", "address": {"city": "Łódź"}}},
            ),
            Message(
                call="track",
                body={
                    "userId": "u1",
                    "event": "Paid",
                    "properties": {"total": 5},
                    "messageId": "x",
                },
            ),
        ]
    )
    assert [(table.title, table.rows) for table in shown] == [
        ("Person", [("userId", "u1")]),
        ("Traits", [("plan", "pro"), ("address.city", "Łódź")]),
        ("Event", [("event", "Paid")]),
        ("Properties", [("total", "5")]),
    ]


def test_tables_of_large_messages_are_bounded() -> None:
    body = {"traits": {f"k{n}": "x" * 1_000 for n in range(1_000)}}
    [table] = tables([Message(call="identify", body=body)])
    assert len(table.rows) == MOST_ROWS + 1
    assert max(len(value) for _, value in table.rows) == LONGEST_TEXT + 1
