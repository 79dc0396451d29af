"""The simulator answers and acts as Customer.io is documented to, in both modes."""

from __future__ import annotations

import gzip
import json

import pytest

from destinations.customerio.simulator import EU_KEY, US_KEY
from tests.contract.customerio_samples import basic, options

ULID = "01KASCB5G0000000000000000A"
NOT_ULID = "f3b0c442-98fc-4c14-9afb-f4c8996fb924"
NOON, ONE = "2026-11-23T12:00:00.000Z", "2026-11-23T13:00:00.000Z"


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(("region", "key"), [("us", US_KEY), ("eu", EU_KEY)])
async def test_a_valid_call_is_stored_in_either_mode(sim, caller, strict, region, key):
    body = {"userId": "u1", "traits": {"email": "A@b.co", "plan": "pro"}}
    answer = await caller.post(
        "identify", body, strict=strict, region=region, authorization=basic(key)
    )
    assert (answer.status_code, answer.content) == (200, b"{}\n")
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    [person] = sim.people
    assert (person.region, person.id, person.email) == (region, "u1", "a@b.co")
    assert person.attributes == {"plan": "pro"}


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        basic("unknown"),
        basic(EU_KEY),
        basic(US_KEY, "password"),
        basic(""),
        f"Bearer {US_KEY}",
        "Basic %%%",
    ],
)
async def test_a_wrong_key_is_told_in_strict_mode_alone_and_stores_nothing(
    sim, caller, authorization
):
    body = {"userId": "u1", "traits": {}}
    lax = await caller.post("identify", body, strict=False, authorization=authorization)
    strict = await caller.post("identify", body, authorization=authorization)
    assert (lax.status_code, lax.content) == (200, b"{}\n")
    assert (strict.status_code, strict.content) == (401, b"")
    assert not sim.people
    assert [request.stored for request in sim.requests] == [False, False]


async def test_the_refusal_of_a_key_may_have_a_body(sim, caller):
    options(sim, unauthorized_body="meta")
    answer = await caller.post("identify", {}, authorization=None)
    assert answer.json() == {"meta": {"error": "unauthorized"}}


@pytest.mark.parametrize(
    ("call", "raw"),
    [
        ("identify", b""),
        ("identify", b"{"),
        ("identify", b"[]"),
        ("identify", b'"text"'),
        ("identify", b'{"userId": "u1", "traits": {"a": NaN}}'),
        ("identify", b'{"userId": "\xff"}'),
        ("identify", b"[" * 20_000),
        ("identify", b'{"userId": 7}'),
        ("identify", b'{"userId": "u1", "traits": []}'),
        ("identify", b'{"userId": "u1", "timestamp": "yesterday"}'),
        ("identify", b'{"traits": {"plan": "pro"}}'),
        ("identify", b'{"userId": " ", "anonymousId": ""}'),
        ("track", b'{"event": "Opened"}'),
        ("track", b'{"userId": "u1"}'),
        ("track", b'{"userId": "u1", "event": ""}'),
        ("track", b'{"userId": "u1", "event": {}}'),
        ("track", b'{"userId": "u1", "event": "Opened", "properties": 1}'),
        ("track", b'{"event": "Report Delivery Event"}'),
        ("identify", b'{"userId": "u1", "type": "track"}'),
        ("alias", b'{"userId": "u1"}'),
        ("alias", b'{"previousId": "a1"}'),
        ("alias", b'{"userId": "u1", "previousId": 7}'),
        ("alias", b'{"userId": "u1", "previousId": ""}'),
        ("group", b'{"userId": "u1", "groupId": 7}'),
        ("group", b'{"userId": "u1", "groupId": "g1", "traits": []}'),
        ("group", b'{"userId": "u1", "traits": {"relationshipAttributes": "admin"}}'),
        ("page", b'{"name": "Home", "traits": {"email": "jo@b.co"}}'),
        ("page", b'{"userId": "u1", "name": 7}'),
        ("screen", b'{"name": "Home"}'),
        ("screen", b'{"anonymousId": "a1", "properties": "none"}'),
        ("batch", b'{"batch": {}}'),
    ],
)
async def test_an_invalid_call_is_told_in_strict_mode_alone_and_stores_nothing(
    sim, caller, call, raw
):
    lax = await caller.post(call, raw=raw, strict=False)
    strict = await caller.post(call, raw=raw)
    assert (lax.status_code, lax.content) == (200, b"{}\n")
    assert strict.status_code == 400
    assert [type(error) for error in strict.json()["meta"]["errors"]] == [str]
    assert not sim.people
    assert not sim.events


@pytest.mark.parametrize("status", [400, 413, 200])
async def test_an_oversize_call_stores_nothing_whatever_is_said(sim, caller, status):
    options(sim, oversize_status=status)
    body = {"userId": "u1", "traits": {f"t{n}": "x" * 990 for n in range(40)}}
    assert (await caller.post("identify", body, strict=False)).status_code == 200
    assert (await caller.post("identify", body)).status_code == status
    assert not sim.people


async def test_the_limit_of_a_call_is_32768_bytes_or_what_is_set(sim, caller):
    empty = len(b'{"userId":"u1","context":{"x":""}}')
    raw = b'{"userId":"u1","context":{"x":"%s"}}' % (b"x" * (32_768 - empty))
    assert (await caller.post("identify", raw=raw)).status_code == 200
    assert (await caller.post("identify", raw=raw + b" ")).status_code == 400
    options(sim, max_body_bytes=32_000)
    assert (await caller.post("identify", raw=raw)).status_code == 400


async def test_attributes_over_a_limit_are_dropped_behind_a_200(sim, caller):
    traits = {"n" * 151: "x", "long": "é" * 501, "nested": {"x": "y" * 1_000}, "fits": "x" * 1_000}
    await caller.identify(userId="u1", traits=traits)
    await caller.identify(userId="u2", traits={f"t{n}": n for n in range(301)})
    assert set(sim.person(id="u1").attributes) == {"fits"}
    assert len(sim.person(id="u2").attributes) == 300
    assert len(sim.notices) == 4


async def test_ids_and_event_names_over_a_limit_have_no_effect_behind_a_200(sim, caller):
    await caller.identify(userId="u" * 151)
    await caller.track(userId="u1", event="e" * 101)
    assert not sim.people
    assert not sim.events
    assert len(sim.notices) == 2


async def test_limits_may_be_told_in_strict_mode(sim, caller):
    options(sim, over_limit="refuse")
    body = {"userId": "u1", "traits": {"long": "x" * 1_001}}
    assert (await caller.post("identify", body)).status_code == 400
    assert (await caller.post("identify", body, strict=False)).status_code == 200
    assert not sim.people


async def test_an_identify_of_a_visitor_is_ignored(sim, caller):
    await caller.identify(anonymousId="a1", traits={"plan": "pro"})
    assert not sim.people


async def test_a_visitors_events_wait_for_the_identify_that_names_both(sim, caller):
    await caller.track(anonymousId="a1", event="First")
    await caller.track(anonymousId="a2", event="Other")
    await caller.identify(userId="u1")
    assert [event.held for event in sim.events] == [True, True]
    await caller.identify(userId="u1", anonymousId="a1")
    person = sim.person(id="u1", anonymous_id="a1")
    assert [(event.name, event.person) for event in sim.events] == [
        ("First", person),
        ("Other", None),
    ]


@pytest.mark.parametrize(("window", "held"), [(300, False), (0, True)])
async def test_a_visitors_late_events_go_to_the_person_for_a_while(sim, caller, window, held):
    options(sim, late_merge_seconds=window)
    await caller.identify(userId="u1", anonymousId="a1")
    await caller.track(anonymousId="a1")
    assert [event.held for event in sim.events] == [held]


async def test_an_anonymous_id_is_merged_once(sim, caller):
    await caller.identify(userId="u1", anonymousId="a1")
    await caller.identify(userId="u2", anonymousId="a1")
    assert sim.person(anonymous_id="a1").id == "u1"


@pytest.mark.parametrize(
    ("dedupe", "id", "stored"),
    [
        ("ulid", ULID, 1),
        ("ulid", ULID.lower(), 1),
        ("ulid", NOT_ULID, 2),
        ("ulid", None, 2),
        ("any", NOT_ULID, 1),
        ("off", ULID, 2),
    ],
)
async def test_a_repeated_message_id_of_ulid_form_stores_one_event(sim, caller, dedupe, id, stored):
    options(sim, dedupe=dedupe)
    for _ in range(2):
        await caller.track(userId="u1", messageId=id)
    assert len(sim.events) == stored


async def test_identifies_with_the_message_id_of_an_event_do_not_hide_it(sim, caller):
    await caller.identify(userId="u1", messageId=ULID)
    await caller.track(userId="u1", messageId=ULID)
    assert len(sim.events) == 1


async def test_a_user_id_of_email_form_is_an_email(sim, caller):
    await caller.identify(userId="Jo@Example.com", traits={"plan": "pro"})
    await caller.identify(traits={"email": "jo@example.com", "age": 7})
    await caller.track(userId="JO@example.com")
    [person] = sim.people
    assert (person.id, person.email) == (None, "jo@example.com")
    assert person.attributes == {"plan": "pro", "age": 7}
    assert sim.events[0].person is person


async def test_a_user_id_with_the_prefix_cio_is_customerios_own(sim, caller):
    await caller.identify(userId="u1")
    [person] = sim.people
    await caller.identify(userId=f"cio_{person.cio_id}", traits={"plan": "pro"})
    await caller.identify(userId="cio_nobody", traits={"plan": "pro"})
    await caller.track(userId="cio_nobody")
    assert sim.people == [person]
    assert person.attributes == {"plan": "pro"}
    assert not sim.events


async def test_ids_are_case_sensitive(sim, caller):
    await caller.identify(userId="u1")
    await caller.identify(userId="U1")
    assert len(sim.people) == 2


async def test_somebody_elses_email_is_not_taken_over_but_other_attributes_are_set(sim, caller):
    await caller.identify(userId="u1", traits={"email": "jo@b.co"})
    await caller.identify(userId="u2", traits={"email": "jo@b.co", "plan": "pro"})
    assert sim.person(email="jo@b.co").id == "u1"
    assert (sim.person(id="u2").email, sim.person(id="u2").attributes) == (None, {"plan": "pro"})
    assert len(sim.notices) == 1


async def test_a_new_id_with_a_known_email_may_rename_the_person(sim, caller):
    options(sim, email_conflict="reassign")
    await caller.identify(userId="u1", traits={"email": "jo@b.co"})
    await caller.identify(userId="u2", traits={"email": "jo@b.co"})
    assert [(person.id, person.email) for person in sim.people] == [("u2", "jo@b.co")]


async def test_a_new_id_goes_to_the_person_known_by_that_email_alone(sim, caller):
    await caller.identify(userId="jo@b.co", traits={"plan": "pro"})
    await caller.identify(userId="u1", traits={"email": "jo@b.co"})
    [person] = sim.people
    assert (person.id, person.email, person.attributes) == ("u1", "jo@b.co", {"plan": "pro"})


async def test_two_halves_of_a_person_become_one_with_all_events(sim, caller):
    await caller.track(userId="jo@b.co", event="By email")
    await caller.track(userId="u1", event="By id")
    half = sim.person(email="jo@b.co").cio_id
    await caller.identify(userId="u1", traits={"email": "jo@b.co"})
    [person] = sim.people
    assert (person.id, person.email, person.merged) == ("u1", "jo@b.co", [half])
    assert [event.person for event in sim.events] == [person, person]
    await caller.identify(userId="jo@b.co", traits={"plan": "pro"})
    assert person.attributes == {"plan": "pro"}


async def test_user_deleted_is_a_command_that_removes_the_person(sim, caller):
    await caller.identify(userId="u1", anonymousId="a1", traits={"email": "jo@b.co"})
    await caller.track(userId="u1", event=" User Deleted ")
    assert not sim.people
    assert not sim.events
    await caller.identify(userId="u1", traits={"email": "jo@b.co"})
    assert len(sim.people) == 1


async def test_user_suppressed_is_a_command_that_blocks_the_person(sim, caller):
    await caller.identify(userId="u1", traits={"email": "jo@b.co"})
    await caller.track(userId="u1", event="User Suppressed")
    await caller.identify(userId="u1")
    await caller.identify(userId="jo@b.co")
    await caller.identify(userId="u2", traits={"email": "jo@b.co"})
    await caller.track(userId="u1")
    assert not sim.people
    assert not sim.events
    assert sim.commands == ["User Suppressed"]


async def test_iso_dates_become_seconds_except_in_lists(sim, caller):
    traits = {
        "date": "2019-02-01",
        "moment": "2019-02-01T12:00:00.750+02:00",
        "inner": {"date": "2019-02-01"},
        "list": ["2019-02-01"],
        "other": "01/02/2019",
        "almost": "2019-02-31",
        "number": 1549000000000,
    }
    await caller.identify(userId="u1", traits=traits)
    assert sim.person(id="u1").attributes == {
        "date": 1548979200,
        "moment": 1549015200,
        "inner": {"date": 1548979200},
        "list": ["2019-02-01"],
        "other": "01/02/2019",
        "almost": "2019-02-31",
        "number": 1549000000000,
    }


@pytest.mark.parametrize(("ordered", "plan"), [(True, "new"), (False, "old")])
async def test_an_older_identify_leaves_newer_attributes_alone(sim, caller, ordered, plan):
    options(sim, timestamp_order=ordered)
    await caller.identify(userId="u1", timestamp=ONE, traits={"plan": "new"})
    await caller.identify(userId="u1", timestamp=NOON, traits={"plan": "old", "age": 7})
    assert sim.person(id="u1").attributes == {"plan": plan, "age": 7}


async def test_parts_of_a_batch_take_effect_in_order_and_invalid_ones_vanish(sim, caller):
    parts = [
        {"type": "identify", "userId": "u1"},
        {"type": "track", "userId": "u1"},
        {"type": "other", "userId": "u1"},
        {"type": "track", "userId": "u1", "event": "Opened"},
    ]
    assert (await caller.post("batch", {"batch": parts})).status_code == 200
    assert [event.person.id for event in sim.events] == ["u1"]


@pytest.mark.parametrize(
    ("call", "body"),
    [
        ("page", {"userId": "u1", "name": "Home"}),
        ("screen", {"anonymousId": "a1", "properties": {"dark": True}}),
        ("group", {"groupId": "g1", "traits": {"name": "Acme"}}),
        ("alias", {"previousId": "a1", "userId": "u1"}),
    ],
)
async def test_other_calls_are_accepted_and_stay_in_the_log_alone(sim, caller, call, body):
    assert (await caller.post(call, body)).status_code == 200
    assert not sim.people
    assert [request.call for request in sim.requests] == [call]


@pytest.mark.parametrize("event", ["Report Delivery Event", "Report Content Event"])
async def test_a_report_needs_no_person(sim, caller, event):
    properties = {"deliveryId": "d1", "metric": "opened"}
    answer = await caller.post("track", {"event": event, "properties": properties})
    assert answer.status_code == 200
    assert sim.commands == [event]


async def test_an_email_is_stored_with_the_spaces_that_it_was_sent_with(sim, caller):
    await caller.identify(userId="u1", traits={"email": " Jo@b.co"})
    await caller.identify(userId="jo@b.co ", traits={})
    assert [(person.id, person.email) for person in sim.people] == [
        ("u1", " jo@b.co"),
        ("jo@b.co ", None),
    ]


async def test_a_gzip_body_is_read_and_its_size_is_that_of_the_json(sim, caller):
    small, large = ({"userId": "u1", "context": {"x": "x" * size}} for size in (20_000, 40_000))
    packed = [gzip.compress(json.dumps(body).encode()) for body in (small, large)]
    statuses = [
        (await caller.post("identify", raw=raw, encoding="gzip")).status_code
        for raw in (*packed, b"no gzip")
    ]
    assert statuses == [200, 400, 400]
    assert [person.id for person in sim.people] == ["u1"]
    assert sim.requests[0].body == small


async def test_people_of_different_keys_are_apart(sim, caller):
    sim.set_keys(us={"k1", "k2"})
    for key in ("k1", "k2"):
        await caller.post("identify", {"userId": "u1"}, authorization=basic(key))
    assert [person.id for person in sim.people] == ["u1", "u1"]
    with pytest.raises(ValueError, match="2 people"):
        sim.person(id="u1")
