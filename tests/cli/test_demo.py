"""The tour shows what the product page promises, and says so by its exit code."""

from __future__ import annotations

import base64

import pytest

from tests.cli.command import CommandLine

TRAITS = ["email", "first_name", "last_name", "plan"]


@pytest.mark.slow
async def test_demo_delivers_survives_an_outage_stops_after_a_refusal_and_fans_out(
    tmp_path,
) -> None:
    ran = await CommandLine(tmp_path).run("demo", "--once", "--json")
    assert ran.code == 0, ran.err
    delivered, outage, refused, fanned_out = ran.json["events"]
    requests = ran.json["requests"]

    assert delivered["status"] == "completed"
    [delivery] = delivered["deliveries"]
    identify, track = delivery["identify"], delivery["track"]
    assert identify["request"]["userId"] == track["request"]["userId"] == "usr_2048"
    assert sorted(identify["request"]["traits"]) == TRAITS
    assert track["request"]["event"] == "Signed Up"
    assert track["request"]["timestamp"]
    assert "properties" not in track["request"]

    calls = [request["path"].rpartition("/")[2] for request in requests]
    # The first one is the check of the key, an empty identify.
    pair = ["identify", "track"]
    assert calls == ["identify", *pair, *["identify"] * 3, "track", "identify", *pair]
    statuses = [r["status"] for r in requests]
    assert statuses == [400, 200, 200, 503, 503, 200, 200, 400, 200, 200]
    attempts = [base64.b64decode(request["raw_base64"]) for request in requests[3:6]]
    assert len(set(attempts)) == 1

    tried = outage["deliveries"][0]["identify"]["attempts"]
    assert [attempt["status_code"] for attempt in tried] == [503, 503, 200]
    assert outage["status"] == "completed"
    assert refused["status"] == "failed"
    assert refused["deliveries"][0]["track"] is None

    assert {one["integration_type"]: one["status"] for one in fanned_out["deliveries"]} == {
        "customer_io": "completed",
        "webhook": "completed",
        "slack": "completed",
    }
    [message], [webhook] = ran.json["received"]["slack"], ran.json["received"]["webhook"]
    assert message["text"] == "*Test User* signed up for the plan pro"
    assert webhook["payload"]["userId"] == "usr_2048"


@pytest.mark.slow
async def test_demo_for_people_shows_all_requests_and_the_web_ui(tmp_path) -> None:
    ran = await CommandLine(tmp_path).run("demo", "--once")
    assert ran.code == 0, ran.err
    for shown in ("identify", "track", "send", "usr_2048", "Signed Up", "track was not"):
        assert shown in ran.out
    assert "/namespaces/default/workflows/" in ran.out
    assert "All checks passed." in ran.out


async def test_a_malformed_vendor_key_is_refused_before_anything_starts(tmp_path) -> None:
    ran = await CommandLine(tmp_path).run("demo", "--once", CUSTOMERIO_CDP_API_KEY="site:key")
    assert ran.code == 6
    assert "CUSTOMERIO_CDP_API_KEY" in ran.err
    assert "site:key" not in ran.err
