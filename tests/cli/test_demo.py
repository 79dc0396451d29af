"""The tour shows what the product page promises, and says so by its exit code."""

from __future__ import annotations

import base64

import pytest

from tests.cli.command import CommandLine

TRAITS = ["email", "first_name", "last_name", "plan"]


@pytest.mark.slow
async def test_demo_delivers_survives_an_outage_and_stops_after_a_refusal(tmp_path) -> None:
    ran = await CommandLine(tmp_path).run("demo", "--once", "--json")
    assert ran.code == 0, ran.err
    delivered, outage, refused = ran.json["events"]
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
    assert calls == ["identify", "identify", "track", *["identify"] * 3, "track", "identify"]
    assert [r["status"] for r in requests] == [400, 200, 200, 503, 503, 200, 200, 400]
    attempts = [base64.b64decode(request["raw_base64"]) for request in requests[3:6]]
    assert len(set(attempts)) == 1

    tried = outage["deliveries"][0]["identify"]["attempts"]
    assert [attempt["status_code"] for attempt in tried] == [503, 503, 200]
    assert outage["status"] == "completed"
    assert refused["status"] == "failed"
    assert refused["deliveries"][0]["track"] is None


@pytest.mark.slow
async def test_demo_for_people_shows_both_requests_and_the_web_ui(tmp_path) -> None:
    ran = await CommandLine(tmp_path).run("demo", "--once")
    assert ran.code == 0, ran.err
    for shown in ("POST /v1/identify", "POST /v1/track", "usr_2048", "Signed Up", "track was not"):
        assert shown in ran.out
    assert "/namespaces/default/workflows/" in ran.out
    assert "All checks passed." in ran.out


async def test_a_malformed_vendor_key_is_refused_before_anything_starts(tmp_path) -> None:
    ran = await CommandLine(tmp_path).run("demo", "--once", CUSTOMERIO_CDP_API_KEY="site:key")
    assert ran.code == 6
    assert "CUSTOMERIO_CDP_API_KEY" in ran.err
    assert "site:key" not in ran.err
