"""How the simulator is steered, and what it shows: faults, rate, its log, its own pages."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from destinations.customerio.simulator import EU_KEY, Fault, Options, Simulator
from tests.contract.customerio_samples import basic, options


async def test_the_log_holds_what_was_received_in_order(sim, caller):
    raw = b'{ "userId": "u1" }'
    await caller.post("identify", raw=raw)
    await caller.post("track", raw=b"{", region="eu")
    first, second = sim.requests
    assert (first.seq, first.region, first.path, first.raw) == (1, "us", "/v1/identify", raw)
    assert (first.status, first.stored, first.body) == (200, True, {"userId": "u1"})
    assert (second.seq, second.region, second.status, second.stored) == (2, "eu", 401, False)
    assert first.received <= first.answered <= second.received


async def test_faults_happen_to_the_calls_they_are_set_for(sim, caller):
    sim.fail("track", fault=Fault(status=503), nth=[1, 3])
    sim.fail("identify", fault=Fault(status=500), times=2)
    sim.fail(fault=Fault(status=418), region="eu")

    async def statuses(call: str, body: dict[str, object]) -> list[int]:
        return [(await caller.post(call, body)).status_code for _ in range(4)]

    assert await statuses("track", {"userId": "u1", "event": "e"}) == [503, 200, 503, 200]
    assert await statuses("identify", {"userId": "u1"}) == [500, 500, 200, 200]
    eu = await caller.post("track", {}, region="eu", authorization=basic(EU_KEY))
    assert eu.status_code == 418
    assert len(sim.events) == 2


async def test_faults_may_concern_one_key_alone(sim, caller):
    sim.set_keys(us={"k1", "k2"})
    sim.fail(fault=Fault(status=503), key="k1")
    for key, status in (("k1", 503), ("k2", 200)):
        answer = await caller.post("identify", {"userId": "u1"}, authorization=basic(key))
        assert answer.status_code == status


async def test_a_faulty_answer_without_success_stores_nothing_unless_told(sim, caller):
    sim.fail(fault=Fault(status=500), times=1)
    sim.fail(fault=Fault(status=500, store="first"), nth=[2])
    sim.fail(fault=Fault(status=202), nth=[3])
    for stored in (0, 1, 2):
        await caller.post("track", {"userId": "u1", "event": "e"})
        assert len(sim.events) == stored


async def test_the_rate_limit_refuses_with_429_and_its_header(sim, caller):
    options(sim, rate_limit=2, rate_limit_retry_after="1")
    answers = [await caller.post("identify", {"userId": f"u{n}"}) for n in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["retry-after"] == "1"
    assert len(sim.people) == 2


async def test_the_rate_limit_may_drop_in_silence(sim, caller):
    options(sim, rate_limit=2, rate_limit_action="drop")
    answers = [await caller.post("identify", {"userId": f"u{n}"}) for n in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert len(sim.people) == 2


async def test_reset_makes_it_as_just_started(sim, caller):
    await caller.identify(userId="u1")
    sim.fail(fault=Fault(status=500))
    sim.set_keys(us=set())
    options(sim, rate_limit=1)
    sim.reset()
    assert (sim.requests, sim.people, sim.events, sim.options) == ([], [], [], Options())
    await caller.identify(userId="u2")
    assert sim.requests[0].seq == 1


async def test_two_simulators_do_not_share_anything(sim, caller):
    other = await Simulator(us_keys={"k"}, options=Options(dedupe="off")).listen()
    await caller.identify(userId="u1")
    assert not other.requests
    await other.stop()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"220 mail.example.com ESMTP\r\n\r\n", b"400"),
        (b"POST /v1/track HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"POST /v1/track HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{", b"400"),
        (b"HEAD /_sim/nowhere HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
        (b"GET /v1/track HTTP/1.1\r\nHost: x\r\n\r\n", b"405"),
        (b"POST /v1/nowhere HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
    ],
)
async def test_what_no_client_should_send_is_refused_and_the_next_call_answered(
    sim, caller, sent, status
):
    url = httpx.URL(sim.base_urls["us"])
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(sent)
    writer.write_eof()
    assert (await reader.readline()).split()[1] == status
    writer.close()
    await caller.identify(userId="u1")


async def test_deep_nesting_is_refused_and_not_stumbled_over(sim, caller):
    for depth in (900, 30_000):
        nested = b'{"a":' * depth + b"1" + b"}" * depth
        raw = b'{"userId": "u1", "event": "e", "properties": ' + nested + b"}"
        options(sim, max_body_bytes=1_000_000)
        assert (await caller.post("track", raw=raw)).status_code == 400


async def test_everything_can_be_seen_over_http(sim, caller):
    await caller.identify(userId="u1", traits={"email": "jo@b.co"})
    await caller.track(userId="u1")
    requests = (await caller.control("GET", "requests")).json()
    assert [(one["seq"], one["path"], one["status"]) for one in requests] == [
        (1, "/v1/identify", 200),
        (2, "/v1/track", 200),
    ]
    assert requests[0]["body"] == {"userId": "u1", "traits": {"email": "jo@b.co"}}
    assert [one["seq"] for one in (await caller.control("GET", "requests?after=1")).json()] == [2]
    [person] = (await caller.control("GET", "people")).json()
    [event] = (await caller.control("GET", "events")).json()
    assert (person["id"], person["email"]) == ("u1", "jo@b.co")
    assert (event["name"], event["person"]) == ("Opened", person["cio_id"])
    overview = (await caller.control("GET", "")).json()
    assert (overview["base_urls"], overview["requests"]) == (sim.base_urls, 2)


async def test_everything_can_be_steered_over_http(sim, caller):
    rule = {"path": "track", "fault": {"status": 429, "headers": {"Retry-After": "2"}}, "times": 9}
    assert (await caller.control("POST", "faults", rule)).status_code == 200
    limited = await caller.post("track", {"userId": "u1", "event": "e"})
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "2")
    await caller.control("DELETE", "faults")
    await caller.track(userId="u1")

    await caller.control("POST", "keys", {"us": ["other"]})
    assert (await caller.post("track", {})).status_code == 401
    changed = await caller.control("POST", "options", {"unauthorized_body": "meta"})
    assert changed.json() == json.loads(sim.options.model_dump_json())
    assert (await caller.post("track", {})).content

    await caller.control("POST", "reset")
    assert (await caller.control("GET", "requests")).json() == []
    await caller.track(userId="u1")


@pytest.mark.parametrize(
    ("page", "body", "named"),
    [
        ("faults", {}, "fault"),
        ("faults", {"path": "login", "fault": {}}, "path"),
        ("faults", {"fault": {"status": 42}}, "fault.status"),
        ("faults", {"fault": {"kind": "explode"}}, "fault.kind"),
        ("faults", {"fault": {"headers": {"X": "a\r\nb"}}}, "fault.headers"),
        ("faults", {"fault": {}, "times": 0}, "times"),
        ("faults", {"fault": {}, "oops": 1}, "oops"),
        ("faults", [], "request body"),
        ("keys", {"us": "key"}, "us"),
        ("keys", {"asia": []}, "asia"),
        ("options", {"rate_limit": "fast"}, "rate_limit"),
        ("options", {"oops": 1}, "oops"),
    ],
)
async def test_what_cannot_be_read_is_refused_by_the_fields_name(sim, caller, page, body, named):
    before = sim.options
    answer = await caller.control("POST", page, body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(named)
    assert sim.options == before
    assert (await caller.post("identify", {"userId": "u1"})).status_code == 200


async def test_unknown_pages_and_methods_are_told(caller):
    assert (await caller.control("GET", "nowhere")).status_code == 404
    assert (await caller.control("PUT", "faults")).status_code == 405
    assert (await caller.control("GET", "requests?after=x")).status_code == 400
