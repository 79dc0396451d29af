"""The oracle is content with a good run, and names the invariant that each doctored one breaks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from delivery.attempt import UNREPORTED, Attempt, AttemptList, Call
from delivery.delivery_log import CallLog, DeliveryLog
from delivery.outcome import OutcomeCode
from delivery.result import Status
from eventlog.log import EventLog
from tests.chaos.latency import p95
from tests.chaos.oracle import Emitted, Facts, Held, Received, check

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ANN, BOB = "ann", "bob"
IDS = {ANN: "event-of-ann", BOB: "event-of-bob"}


def attempt(number: int, call: Call, status: int | None) -> Attempt:
    lost = status is None
    return Attempt(
        number=number,
        call=call,
        started_at=NOW + timedelta(seconds=number),
        duration_ms=5,
        outcome_code=OutcomeCode.INTERNAL_ERROR if lost else OutcomeCode.DELIVERED,
        status_code=status,
        message=UNREPORTED if lost else f"accepted with {status}",
    )


def call_log(call: Call, *statuses: int | None) -> CallLog:
    made = AttemptList()
    for number, status in enumerate(statuses, start=1):
        made = made.add(attempt(number, call, status))
    last = made.last
    return CallLog(
        call=call,
        request={},
        outcome_code=last.outcome_code if last else None,
        status_code=last.status_code if last else None,
        response_excerpt=None,
        attempt_count=made.count,
        attempts_left_out=made.left_out,
        attempts=made.kept,
        next_attempt_at=None,
        in_flight=False,
    )


def log_of(person: str, identify: CallLog, track: CallLog | None) -> EventLog:
    delivery = DeliveryLog(
        rule="rule",
        connection="connection",
        connection_name="Customer io",
        status=Status.COMPLETED,
        identify=identify,
        track=track,
    )
    return EventLog(
        event_id=IDS[person],
        run_id="run",
        workspace="workspace",
        event="user.signup",
        resource="global",
        resource_id=None,
        payload={},
        timestamp=NOW,
        test=False,
        status=Status.COMPLETED,
        accepted_at=NOW,
        completed_at=NOW,
        total_rules=1,
        completed_count=1,
        failed_count=0,
        error=None,
        deliveries=(delivery,),
    )


def request(person: str, call: str, at: float, status: int | None = 200) -> Received:
    raw = json.dumps({"userId": person, "messageId": f"{person}-{call}"}).encode()
    return Received(call, person, raw, at, at + 0.1 if status else None, status, stored=True)


def good() -> Facts:
    """Ann's event went well; of Bob's track one attempt was lost with its worker."""
    return Facts(
        emitted=[
            Emitted(person, f"key-of-{person}", (IDS[person],), healthy=True) for person in IDS
        ],
        logs={
            IDS[ANN]: log_of(ANN, call_log("identify", 200), call_log("track", 200)),
            IDS[BOB]: log_of(BOB, call_log("identify", 503, 200), call_log("track", None, 200)),
        },
        runs=list(IDS.values()),
        received=[
            request(ANN, "identify", 1),
            request(ANN, "track", 2),
            request(BOB, "identify", 1, 503),
            request(BOB, "identify", 3),
            request(BOB, "track", 4),
            request(BOB, "track", 9),
        ],
        stored=[ANN, BOB],
        took=[1.0, 9.0],
    )


def changed_log(facts: Facts, **fields: object) -> Facts:
    log = facts.logs[IDS[ANN]].model_copy(update=fields)
    return replace(facts, logs={**facts.logs, IDS[ANN]: log})


def changed_delivery(facts: Facts, **fields: object) -> Facts:
    [delivery] = facts.logs[IDS[ANN]].deliveries
    return changed_log(facts, deliveries=(delivery.model_copy(update=fields),))


def with_request(facts: Facts, *more: Received, without: int | None = None) -> Facts:
    kept = [one for place, one in enumerate(facts.received) if place != without]
    return replace(facts, received=[*kept, *more])


def emitted(facts: Facts, **fields: object) -> Facts:
    first, *others = facts.emitted
    return replace(facts, emitted=[replace(first, **fields), *others])  # type: ignore[arg-type]


OTHER_BODY = replace(request(ANN, "track", 2), raw=b'{"messageId":"ann-track","userId":"ann" }')
OTHER_ID = replace(request(ANN, "track", 2), raw=b'{"userId":"ann","messageId":"another"}')

DOCTORED: dict[str, tuple[str, Callable[[Facts], Facts]]] = {
    "an event is gone": ("I1", lambda f: replace(f, logs={IDS[BOB]: f.logs[IDS[BOB]]})),
    "an event hangs": ("I1", lambda f: changed_log(f, status=Status.RETRYING)),
    "a delivery hangs": ("I1", lambda f: changed_delivery(f, status=Status.PROCESSING)),
    "an event failed": ("I1", lambda f: changed_log(f, status=Status.FAILED)),
    "two runs of one event": ("I1", lambda f: replace(f, runs=[*f.runs, IDS[ANN]])),
    "a run of nobody's": ("I1", lambda f: replace(f, runs=[*f.runs, "another"])),
    "a track not stored": ("I1", lambda f: replace(f, stored=[BOB])),
    "a track stored twice": ("I1", lambda f: replace(f, stored=[ANN, BOB, BOB])),
    "a stranger's event": ("I1", lambda f: replace(f, stored=[*f.stored, "eve"])),
    "track first": ("I2", lambda f: with_request(f, request(ANN, "track", 0.5), without=1)),
    "track during identify": (
        "I2",
        lambda f: with_request(f, request(ANN, "track", 1.05), without=1),
    ),
    "no identify": ("I2", lambda f: with_request(f, without=0)),
    "track after failure": (
        "I3",
        lambda f: changed_delivery(
            f, identify=call_log("identify", 400).model_copy(update={"outcome_code": None})
        ),
    ),
    "other bytes": ("I4", lambda f: with_request(f, OTHER_BODY)),
    "another messageId": ("I4", lambda f: with_request(f, OTHER_ID)),
    "one messageId for both": (
        "I4",
        lambda f: with_request(f, replace(f.received[0], call="track"), without=1),
    ),
    "an attempt too few": ("I5", lambda f: with_request(f, request(ANN, "track", 3))),
    "an attempt invented": (
        "I5",
        lambda f: changed_delivery(f, track=call_log("track", 503, 200)),
    ),
    "another status": ("I5", lambda f: changed_delivery(f, track=call_log("track", 202))),
    "an attempt unnumbered": (
        "I5",
        lambda f: changed_delivery(
            f, track=call_log("track", 200).model_copy(update={"attempt_count": 2})
        ),
    ),
    "two events of one key": ("I6", lambda f: emitted(f, ids=(IDS[ANN], "another"))),
    "one event of two keys": ("I6", lambda f: emitted(f, ids=(IDS[BOB],))),
    "a secret in a log": ("I7", lambda f: replace(f, leaks=["worker.log (api key)"])),
    "a workflow left open": ("I8", lambda f: replace(f, open_runs=1)),
    "a failing task": ("I8", lambda f: replace(f, failed_tasks={IDS[ANN]: 3})),
    "slow neighbors": ("I9", lambda f: replace(f, took=[1.0, 90.0])),
    "a neighbor left out": ("I9", lambda f: replace(f, took=[1.0])),
}


POSTED = call_log("send", 200)
TWICE = call_log("send", None, 200)


def to_slack(person: str, sent: CallLog) -> DeliveryLog:
    return (
        log_of(person, POSTED, None)
        .deliveries[0]
        .model_copy(update={"integration_type": "slack", "identify": None, "send": sent})
    )


def posted(person: str, at: float) -> Received:
    return replace(request(person, "send", at), raw=b"{}", type="slack", name="chat.postMessage")


def fanned() -> Facts:
    """Each event goes to Slack too, where Bob's was posted twice: one answer was lost."""
    facts = good()
    logs = {
        IDS[person]: facts.logs[IDS[person]].model_copy(
            update={"deliveries": (*facts.logs[IDS[person]].deliveries, to_slack(person, sent))}
        )
        for person, sent in ((ANN, POSTED), (BOB, TWICE))
    }
    return replace(
        facts,
        emitted=[replace(one, destinations=2) for one in facts.emitted],
        logs=logs,
        received=[*facts.received, posted(ANN, 1), posted(BOB, 1), posted(BOB, 30)],
        held=[Held("slack", 40, 50)],
    )


DOCTORED_FANNED: dict[str, tuple[str, Callable[[Facts], Facts]]] = {
    "a destination left out": ("I10", lambda f: emitted(f, destinations=3)),
    "a message lost": ("I10", lambda f: with_request(f, without=len(f.received) - 3)),
    "posted twice without a lost answer": ("I10", lambda f: with_request(f, posted(ANN, 2))),
    "posted more often than answers were lost": (
        "I10",
        lambda f: with_request(f, posted(BOB, 31)),
    ),
    "twice where repetitions are dropped": (
        "I10",
        lambda f: replace(
            f,
            logs=renamed_in(f.logs),
            received=[replace(r, type="webhook") if r.type == "slack" else r for r in f.received],
        ),
    ),
    "a request while held": ("I11", lambda f: with_request(f, posted(ANN, 45))),
}


def renamed_in(logs: Mapping[str, EventLog]) -> dict[str, EventLog]:
    """The same with a webhook where Slack was."""
    return {
        id: log.model_copy(
            update={
                "deliveries": (
                    log.deliveries[0],
                    log.deliveries[1].model_copy(update={"integration_type": "webhook"}),
                )
            }
        )
        for id, log in logs.items()
    }


def test_a_good_run_to_several_destinations_satisfies_the_oracle() -> None:
    assert check(fanned()) == []


@pytest.mark.parametrize("name", DOCTORED_FANNED)
def test_a_doctored_run_to_several_destinations_breaks_its_invariant(name: str) -> None:
    invariant, doctor = DOCTORED_FANNED[name]
    assert invariant in {fault.invariant for fault in check(doctor(fanned()))}


def test_a_good_run_satisfies_the_oracle() -> None:
    assert check(good()) == []


@pytest.mark.parametrize("name", DOCTORED)
def test_a_doctored_run_breaks_its_invariant(name: str) -> None:
    invariant, doctor = DOCTORED[name]
    assert invariant in {fault.invariant for fault in check(doctor(good()))}


def test_what_was_never_said_to_be_accepted_may_exist_once() -> None:
    """The API was killed between storing the event and answering."""
    facts = emitted(good(), ids=(), healthy=False)
    assert check(replace(facts, took=[9.0])) == []


def test_a_redelivered_event_may_have_several_runs_but_not_none() -> None:
    facts = emitted(good(), redelivered=True)
    assert check(replace(facts, runs=[*facts.runs, IDS[ANN]])) == []
    assert {fault.invariant for fault in check(replace(facts, runs=[IDS[BOB]]))} == {"I1"}


@pytest.mark.parametrize(
    ("samples", "expected"), [([], 0), ([3], 3), (range(1, 101), 95), (range(1, 21), 19)]
)
def test_p95(samples: list[float], expected: float) -> None:
    assert p95(list(samples)) == expected
