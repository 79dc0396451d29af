"""What an idempotency key stands for never changes: a retry after an upgrade is no conflict.

The fingerprints were recorded with the client of 0.1, and are those of the bytes that it stored.
"""

from __future__ import annotations

import enum
import uuid
from collections import OrderedDict
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from temporalio.client import Client, OutboundInterceptor, StartWorkflowInput, WorkflowHandle

from emitonce import Emitter
from emitonce.event import NewEvent, checked_fields, encode
from emitonce.ids import event_id_for, fingerprint
from tests.integration.stack import SECRET, Stack

WORKSPACE = "5f0c6a1e-3c1b-4d7e-9a51-0d6f2b8c7e44"


class Plan(str, enum.Enum):  # noqa: UP042  it was accepted, a StrEnum is another matter
    PRO = "pro"


class Size(enum.IntEnum):
    ONE = 1


class Color(enum.Enum):
    RED = "red"


STORED: dict[str, tuple[dict[str, Any], str]] = {
    "plain": (
        {"payload": {"userId": "usr_2048", "email": "test@example.com", "plan": "pro"}},
        "44899cc6543100782b5fd35960b2c1bc6da0c63f53e5c36471d97e3b1f5862c8",
    ),
    "order_and_unicode": (
        {"payload": {"b": 1, "a": {"d": [1, 2.5, True, None], "c": "ü✓😀"}}},
        "0940b9ae60c3083c0fcdb028a2a88b41f331e3eac9abc6c91012fb899226fb45",
    ),
    "numbers": (
        {
            "payload": {
                "i": 10**300,
                "f": 0.1,
                "e": 1e22,
                "z": -0.0,
                "s": 1e-7,
                "big": 123456789012345678901234567890,
            }
        },
        "0e8cfd63b605a3908afb40dc4c49d6a2c76b105b28d157bd1c8915d76c64ddc1",
    ),
    "tuples": (
        {"payload": {"t": (1, (2, "x"))}},
        "0326b75af54de679c671fb73230133f8fa4eb3eadd4638a2286e5c7b87d1a13b",
    ),
    "keys_that_are_no_strings": (
        {"payload": {1: "a", 2.5: "b", False: "c", None: "d"}},
        "cac8d08f8ef3926fdf6c22d8148c72fc8757a7bf26cb770e9045bb91da6bbee3",
    ),
    "enums_of_text_and_numbers": (
        {"payload": {"plan": Plan.PRO, "n": Size.ONE, Plan.PRO: 1}},
        "7db81e4a29bd079c791464702651b305e38bd2bf9c8ee2fc5536f7449f73c2de",
    ),
    "escapes": (
        {"payload": {"q": 'a"b\\c\n\u2028</script>\x7f'}},
        "5e9f7c0e0e1d30421753dcc3fa0fd88e725bcd7e9db1334c8f895f9cfb37456a",
    ),
    "empty": ({}, "59aa70bef88463cae33e7beac08c047c21add862efd6aed9208ad8228997bbee"),
    "another_mapping": (
        {"payload": OrderedDict(a=1)},
        "a9d90ed5903efc76b27c826d065bf3cd405baa518c78f77b65f529ebf636d0c4",
    ),
    "a_uuid_as_workspace": (
        {"workspace": uuid.UUID(WORKSPACE), "payload": {"a": 1}},
        "a9d90ed5903efc76b27c826d065bf3cd405baa518c78f77b65f529ebf636d0c4",
    ),
    "a_workspace_in_capitals": (
        {"workspace": WORKSPACE.upper(), "payload": {"a": 1}},
        "999345ff1d63b7585eb45cbc499f3093096183e702563dd9652fe715223f5897",
    ),
    "blanks_around_a_name": (
        {"event": " user.signup ", "payload": {"a": 1}},
        "d9f650df6ff26ea662c66fc014d9070d53400802bb9ae9879e124cbec39934d1",
    ),
    "resource": (
        {"resource": "project", "resource_id": "prj_1", "payload": {"a": 1}},
        "5100fcc0f5dbc7140f674292f29be9411928e1d5e18948e66fafb42420f69b98",
    ),
    "no_resource": (
        {"resource": None, "payload": {"a": 1}},
        "1762c434d11375408877b398c5f23253a1b98bee3daf8a4bfda11e594d59c6f2",
    ),
    "datetime": (
        {
            "timestamp": datetime(2026, 11, 23, 19, 0, 0, 123456, timezone(timedelta(hours=1))),
            "payload": {"a": 1},
        },
        "3cb35fafdb83db8a3cee0997f3dd2a0171e21ed3a64584412faea8b1bb8cedff",
    ),
    "time_as_text": (
        {"timestamp": "2026-11-23T18:00:00.5+01:00", "payload": {"a": 1}},
        "65ea63e4a2e734b9a74da0e175cb774094f64e4cc1673df6f27de23805b33116",
    ),
    "time_to_the_minute": (
        {"timestamp": "2026-11-23t18:00Z", "payload": {"a": 1}},
        "02bd4e1c28cbe34c60422e284c44cd8f036702270aeb748c73b9de0ce1a26eda",
    ),
}


@pytest.mark.parametrize("case", STORED)
async def test_an_event_is_stored_in_the_same_bytes_as_ever(temporal: Client, case: str) -> None:
    fields, recorded = STORED[case]
    given = {"event": "user.signup", "payload": {}, "workspace": WORKSPACE, **fields}
    started: list[StartWorkflowInput] = []
    config = temporal.config(active_config=True)
    config["interceptors"] = [_Recording(started)]
    emitter = Emitter(Client(**config), instance_secret=SECRET)
    await emitter.emit(**given, idempotency_key="order-1")
    assert started[0].id == event_id_for(SECRET, WORKSPACE, "order-1")
    assert started[0].memo == {"fingerprint": recorded}
    [stored] = started[0].args
    assert fingerprint(SECRET, stored.payload.data) == recorded


def test_so_is_one_that_tries_a_rule() -> None:
    body = encode(
        {
            "workspace": WORKSPACE,
            "event": "user.signup",
            "payload": {"a": 1},
            "resource": "global",
            "resource_id": None,
            "timestamp": None,
            "only_rules": ["r"],
            "test": True,
        }
    )
    recorded = "d5125a302daed1839f15fba88d68e3602bce9736655ec01895c6bd6d50870b71"
    assert fingerprint(SECRET, body) == recorded


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (datetime(2026, 11, 23, 18, 0, tzinfo=UTC), "2026-11-23T18:00:00+00:00"),
        (datetime(2026, 11, 23, 18, 0, 0, 5), "2026-11-23T18:00:00.000005"),
        (date(2026, 11, 23), "2026-11-23"),
        (uuid.UUID(WORKSPACE), WORKSPACE),
        (Decimal("19.90"), "19.90"),
        (Color.RED, "red"),
        (Plan.PRO, "pro"),
        (Size.ONE, 1),
        ([{"at": date(2026, 11, 23)}, (Decimal(1),)], [{"at": "2026-11-23"}, ["1"]]),
    ],
    ids=repr,
)
def test_what_json_has_no_form_for_is_written_in_one(value: object, written: object) -> None:
    fields = checked_fields(NewEvent("user.signup", {"it": value}, WORKSPACE), None)
    assert fields["payload"] == {"it": written}


async def test_it_reaches_customer_io_so(stack: Stack) -> None:
    await stack.rule()
    payload = {
        "userId": uuid.UUID(WORKSPACE),
        "born": date(2001, 2, 3),
        "price": Decimal("19.90"),
        "color": Color.RED,
    }
    event = await stack.emitter.emit("user.signup", payload, workspace=stack.workspace)
    await event.result()
    identify = stack.calls(user=WORKSPACE)[0].body
    assert identify is not None
    traits = {name: identify["traits"][name] for name in ("born", "price", "color")}
    assert traits == {"born": "2001-02-03", "price": "19.90", "color": "red"}


class _Recording:
    """Notes what would be started, and starts nothing."""

    def __init__(self, started: list[StartWorkflowInput]) -> None:
        self.started = started

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        started = self.started

        class Noting(OutboundInterceptor):
            async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
                started.append(input)
                return WorkflowHandle(None, input.id)  # type: ignore[arg-type]

        return Noting(next)
