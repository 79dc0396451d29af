"""Reading events and deliveries: lists, one event, its payload, every attempt."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import pytest

from destinations.customerio.simulator import Fault
from tests.api.caller import Api, assert_error, is_uuid
from tests.integration.stack import SAMPLE, eventually


async def listed(api: Api, path: str, number: int, **params) -> list[dict]:
    """What a list shows once visibility has caught up and shows `number` events."""
    records: list[dict] = []

    async def shown() -> bool:
        answer = await api.get(path, **params)
        assert answer.status_code == 200, answer.text
        records[:] = answer.json()["records"]
        return len(records) == number

    await eventually(shown)
    return records


def assert_moment(text: str) -> None:
    assert text.endswith("Z")
    assert datetime.fromisoformat(text).utcoffset() == timedelta(0)


async def test_one_event_shows_its_deliveries(api: Api):
    rule = await api.stack.rule(override="Signed Up")
    created = await api.emitted()
    event = await api.ended(created["id"])
    assert {name: event[name] for name in created} == created
    assert (event["total_rules"], event["completed_count"], event["failed_count"]) == (1, 1, 0)
    assert "payload" not in event
    for name in ("started_at", "completed_at", "created_at"):
        assert_moment(event[name])
    assert event["temporal_url"].endswith(f"/workflows/{event['id']}")
    [delivery] = event["rule_events"]
    assert is_uuid(delivery["id"])
    assert (delivery["type"], delivery["event_id"]) == ("rule", event["id"])
    assert (delivery["rule"], delivery["connection"]) == (rule.id, rule.connection)
    assert (delivery["status"], delivery["attempt_count"]) == ("completed", 2)
    assert delivery["identify"]["status_code"] == delivery["track"]["status_code"] == 200
    assert "last_error" not in delivery
    payload = (await api.get(f"/events/{event['id']}/payload")).json()
    assert payload == event | {"payload": SAMPLE}


async def test_event_that_matches_no_rule_is_completed(api: Api):
    event = await api.ended((await api.emitted())["id"])
    assert (event["status"], event["total_rules"], event["rule_events"]) == ("completed", 0, [])


async def test_failed_delivery_says_why(api: Api):
    await api.stack.rule()
    api.stack.sim.fail("identify", fault=Fault(status=400))
    event = await api.ended((await api.emitted())["id"])
    assert (event["status"], event["failed_count"]) == ("failed", 1)
    [delivery] = event["rule_events"]
    assert delivery["last_error"].startswith("rejected_client_error: 400")
    assert delivery["track"] is None


async def test_mapping_error_says_why(api: Api):
    await api.stack.rule()
    created = await api.emitted({"event": "user.signup", "payload": {"userId": {"no": "id"}}})
    event = await api.ended(created["id"])
    [delivery] = event["rule_events"]
    assert delivery["last_error"].startswith("mapping_error: userId")
    assert delivery["identify"] is delivery["track"] is None
    assert api.stack.calls() == []


async def test_ids_of_any_case_are_known_and_others_are_404(api: Api):
    created = await api.emitted()
    assert (await api.get(f"/events/{created['id'].upper()}")).status_code == 200
    for id in (str(uuid.uuid4()), "no-uuid", "%00", "'", "{" + created["id"] + "}"):
        assert_error(await api.get(f"/events/{id}"), 404, "event_id")
        assert_error(await api.get(f"/events/{id}/payload"), 404, "event_id")
        assert_error(await api.get(f"/events/{created['id']}/rules/{id}/attempts"), 404, "rule_id")


async def test_list_shows_newest_first_page_by_page(api: Api):
    made = [(await api.emitted())["id"] for _ in range(7)]
    records = await listed(api, "/events", 7)
    order = [(record["created_at"], record["id"]) for record in records]
    assert order == sorted(order, reverse=True)
    assert {record["id"] for record in records} == set(made)
    assert all(record["created_by"] != "temporal" for record in records)
    seen, cursor = [], None
    while True:
        page = (await api.get("/events", limit=3, **({"cursor": cursor} if cursor else {}))).json()
        assert page["limit"] == 3
        assert page["count"] == len(page["records"]) <= 3
        seen += [record["id"] for record in page["records"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == [record["id"] for record in records]


async def test_list_filters(api: Api):
    rule = await api.stack.rule(event="user.signup")
    await api.stack.rule(event="fails")
    good = (await api.emitted())["id"]
    bad = (await api.emitted({"event": "fails", "payload": {"userId": {}}}))["id"]
    other = (
        await api.emitted(
            {"event": "x", "payload": {}, "resource": "account", "resource_id": "test@example.com"}
        )
    )["id"]
    for id in (good, bad, other):
        await api.ended(id)
    path = f"/workspaces/{api.stack.workspace}/events"
    await listed(api, path, 3)
    for params, expected in (
        ({"event": "user.signup"}, {good}),
        ({"event": "nobody's"}, set()),
        ({"resource": "account"}, {other}),
        ({"resource_id": "test@example.com"}, {other}),
        ({"status": "failed"}, {bad}),
        ({"status": "completed"}, {good, other}),
        ({"status": "canceled"}, set()),
        ({"rule": rule.id.upper()}, {good}),
        ({"connection": rule.connection}, {good}),
        ({"connection": str(uuid.uuid4())}, set()),
        ({"from": "2020-01-01T00:00:00Z", "to": "2021-01-01T00:00:00Z"}, set()),
        ({"from": "2020-01-01T00:00:00+02:00"}, {good, bad, other}),
    ):
        for asked in (path, "/events"):
            records = await listed(api, asked, len(expected), **params)
            assert {record["id"] for record in records} == expected, params


async def test_list_of_a_person_says_since_when_none_is_missing(api: Api):
    about = {"userId": "usr_1", "email": "Ann@example.com"}
    created = await api.emitted({"event": "x", "payload": about})
    await api.emitted({"event": "x", "payload": {"userId": "usr_2"}})
    path = f"/workspaces/{api.stack.workspace}/events"
    for asked in (path, "/events"):
        for person in ("usr_1", "ann@example.com ", "\u0000 usr_3", "x" * 1_000):
            expected = [created["id"]] if person[0] in "ua" else []
            records = await listed(api, asked, len(expected), person=person)
            assert [record["id"] for record in records] == expected
    assert (await api.get(path, person="usr_1")).json()["complete_from"] is None
    await api.stack.catalog.workers.beat(uuid.uuid4())
    assert_moment((await api.get(path, person="usr_1")).json()["complete_from"])
    assert "complete_from" not in (await api.get(path)).json()
    assert_error(await api.get(path, person="x" * 1_001), 400, "person")


@pytest.mark.parametrize("status", ["pending", "processing", "retrying"])
async def test_list_says_which_statuses_it_can_not_tell_apart(shared_api: Api, status: str):
    page = (await shared_api.get("/events", status=status)).json()
    assert "can't distinguish" in page["note"]
    assert "note" not in (await shared_api.get("/events", status="failed")).json()


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 201}, "limit"),
        ({"limit": "1.0"}, "limit"),
        ({"limit": "+5"}, "limit"),
        ({"limit": ""}, "limit"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "WzEsNSwxXQ"}, "cursor"),
        ({"cursor": "ü"}, "cursor"),
        ({"status": "done"}, "status"),
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-01-01T00:00:00"}, "to"),
        ({"tests": "yes"}, "tests"),
        ({"connection": "no-uuid'"}, "connection"),
        ({"rule": ""}, "rule"),
    ],
)
async def test_bad_query_is_refused_by_name(shared_api: Api, params: dict, param: str):
    assert_error(await shared_api.get("/events", **params), 400, param)
    path = f"/workspaces/{shared_api.stack.workspace}/events"
    assert_error(await shared_api.get(path, **params), 400, param)


async def test_attempts_show_every_try_with_request_and_response(api: Api):
    rule = await api.stack.rule()
    api.stack.sim.fail("identify", fault=Fault(status=503, body="try later"), times=2)
    created = await api.emitted()
    await api.ended(created["id"])
    base = f"/events/{created['id']}/rules/{rule.id}/attempts"
    page = (await api.get(base)).json()
    assert (page["count"], page["next_cursor"], page["left_out"]) == (4, None, 0)
    made = page["records"]
    assert [(one["call"], one["number"]) for one in made] == [
        ("identify", 1),
        ("identify", 2),
        ("identify", 3),
        ("track", 1),
    ]
    assert [one["outcome_code"] for one in made] == [
        "rejected_server_error",
        "rejected_server_error",
        "delivered",
        "delivered",
    ]
    for one in made:
        assert is_uuid(one["attempt_id"])
        assert one["attempt_id"] == one["id"]
        assert_moment(one["started_at"])
        assert_moment(one["completed_at"])
        assert (await api.get(f"{base}/{one['id']}")).json() == one
    details = (await api.get(f"{base}/{made[0]['id']}/response-details")).json()
    assert details["response"] == {"status_code": 503, "body": "try later"}
    assert details["request"]["body"] == api.stack.calls()[0].body
    assert_error(await api.get(f"{base}/{uuid.uuid4()}"), 404, "attempt_id")
    assert_error(await api.get(f"{base}/x/response-details"), 404, "attempt_id")
    pages, cursor = [], None
    while True:
        page = (await api.get(base, limit=3, **({"cursor": cursor} if cursor else {}))).json()
        pages.append([one["id"] for one in page["records"]])
        if (cursor := page["next_cursor"]) is None:
            break
    assert pages == [[one["id"] for one in made[:3]], [made[3]["id"]]]
    for bad in ("x", "WzEsMiwzXQ", "W10", "bnVsbA"):
        assert_error(await api.get(base, cursor=bad), 400, "cursor")


async def test_event_of_a_foreign_sdk_is_shown_like_any_other(api: Api):
    id = str(uuid.uuid4())
    await api.stack.client.start_workflow(
        "DeliverEvent",
        {"workspace": api.stack.workspace, "event": "user.signup", "payload": {}},
        id=id,
        task_queue=api.stack.task_queue,
    )
    event = await api.ended(id)
    assert event["created_by"] == "temporal"
    [record] = await listed(api, "/events", 1)
    assert (record["id"], record["created_by"]) == (id, "temporal")


async def test_unreadable_event_of_a_foreign_sdk_is_shown_as_failed(api: Api):
    id = str(uuid.uuid4())
    await api.stack.client.start_workflow(
        "DeliverEvent",
        {"workspace": api.stack.workspace, "event": "", "payload": []},
        id=id,
        task_queue=api.stack.task_queue,
    )
    event = await api.ended(id)
    assert (event["status"], event["event"], event["rule_events"]) == ("failed", "", [])
    assert event["error"].startswith("event:")
    payload = await api.get(f"/events/{id}/payload")
    assert payload.json()["payload"] == {}


@pytest.mark.parametrize("year_1", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00"])
async def test_time_range_that_starts_in_the_year_1_has_all_events(shared_api: Api, year_1: str):
    """Some clients send that for "no time"."""
    body = {"workspace": shared_api.stack.workspace, "accepted_from": year_1, "dry_run": True}
    answer = await shared_api.post("/redeliveries", body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["selection"]["accepted_from"] == "1970-01-01T00:00:00.000Z"


@pytest.mark.parametrize("end", ["0001-01-02T00:00:00Z", "1970-01-01T00:00:00Z"])
async def test_time_range_that_ends_before_there_were_events_is_empty(shared_api: Api, end: str):
    body = {"workspace": shared_api.stack.workspace, "accepted_from": "0001-01-01T00:00:00Z"}
    for more in ({}, {"dry_run": True}):
        answer = await shared_api.post("/redeliveries", body | {"accepted_to": end} | more)
        assert_error(answer, 400, "accepted_to")


async def test_issues_are_those_of_any_time_range(shared_api: Api):
    path = f"/workspaces/{shared_api.stack.workspace}/issues"
    answer = await shared_api.get(path, **{"from": "0001-01-01T00:00:00Z"})
    assert answer.status_code == 200, answer.text
    assert_error(await shared_api.get(path, to="0001-01-01T00:00:00Z"), 400, "accepted_to")
