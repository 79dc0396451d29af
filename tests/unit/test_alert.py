"""Alerts pass between workers of several releases, in both directions."""

from __future__ import annotations

import json

from delivery.alert import Alert, AlertsFound, WatchState

ALERT = {
    "id": "6a1f",
    "type": "delivery.failed",
    "occurred_at": "2026-11-23T18:00:00Z",
    "message": "a delivery failed for good",
    "connection": "c1",
}
KNOWN = {"failed_until": "2026-11-23T18:00:00Z", "seen": ["r1"]}


def test_what_the_first_release_wrote_is_read() -> None:
    seen = AlertsFound.model_validate({"known": KNOWN, "alerts": [ALERT], "look_again": 15})
    assert seen.known.seen == ("r1",)
    assert seen.known.recent is None
    assert seen.alerts[0].connection_name is None


def test_what_a_later_release_adds_is_passed_over() -> None:
    assert WatchState.model_validate(KNOWN | {"later": 1}) == WatchState.model_validate(KNOWN)
    assert Alert.model_validate(ALERT | {"later": 1}) == Alert.model_validate(ALERT)


def test_names_stand_beside_ids_in_the_body() -> None:
    alert = Alert.model_validate(ALERT | {"connection_name": "Newsletter", "event": "user.signup"})
    data = json.loads(alert.encode("https://runbook.example"))["data"]
    assert (data["connection"], data["connection_name"]) == ("c1", "Newsletter")
    assert data["event"] == "user.signup"
    assert "workspace_name" not in data


def test_slack_gets_one_text_with_its_markup_escaped() -> None:
    alert = Alert.model_validate(
        ALERT | {"connection_name": "A <b> & c", "url": "https://ui.example/run"}
    )
    [(name, text)] = json.loads(alert.encode_for_slack("https://runbook.example")).items()
    assert name == "text"
    assert "A &lt;b&gt; &amp; c" in text
    assert "<https://ui.example/run|Event>" in text
    assert "<https://runbook.example#deliveryfailed|Runbook>" in text
