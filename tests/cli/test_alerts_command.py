"""`emitonce alerts`: where alerts are posted, set and tested by command."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.cli.command import InProcess, running_dev
from tests.cli.conftest import Dev
from tests.operations.alert_receiver import SECRET, Receiver, open_receiver


@pytest.mark.slow
async def test_a_target_is_set_tested_and_removed(tmp_path: Path) -> None:
    """On a stack of its own: elsewhere a delivery may have failed, which is reported as well."""
    async with running_dev(tmp_path) as ready:
        dev = Dev(InProcess(tmp_path), ready)
        async with open_receiver() as receiver:
            shown = await _set(dev, receiver)
            origin = receiver.url.removesuffix("/alerts")
            assert shown == {
                "source": "catalog",
                "url": f"{origin}/…",
                "format": "signed",
                "heartbeat_url": None,
            }
            beat = f"{origin}/beat-secret"
            await dev.cli.json("alerts", "set", "--heartbeat-url", beat)
            ran = await dev.cli.run("alerts", "show")
            assert ran.code == 0
            assert origin in ran.out
            assert "/alerts" not in ran.out
            assert "beat-secret" not in ran.out + ran.err
            assert SECRET not in ran.out + ran.err

            assert await dev.cli.json("alerts", "test") == {"alert": 204, "heartbeat": 200}
            assert [alert["type"] for alert in receiver.alerts] == ["alert.test"]
            receiver.answers = [500]
            refused = await dev.cli.run("alerts", "test", "--json")
            assert refused.code == 1
            assert refused.json["alert"] == "answered with 500"

        assert await dev.cli.json("alerts", "remove") == {"removed": True}
        assert await dev.cli.json("alerts", "remove") == {"removed": False}
        assert await dev.cli.json("alerts", "show") == {"source": None}
        assert (await dev.cli.run("alerts", "test")).code == 3


async def _set(dev: Dev, receiver: Receiver) -> dict[str, str | None]:
    """Given by standard input, so that neither stands in a list of processes."""
    ran = await dev.cli.run(
        *("alerts", "set", "--url", "-", "--secret", "-", "--json"),
        stdin=f"{receiver.url}\n{SECRET}\n",
    )
    assert ran.code == 0, ran.err
    shown: dict[str, str | None] = ran.json
    return shown


async def test_a_secret_is_made_once_and_kept(dev: Dev) -> None:
    made = await dev.cli.json("alerts", "set", "--url", "https://alerts.example/1")
    assert len(base64.b64decode(made["secret"].removeprefix("whsec_"), validate=True)) == 32
    changed = await dev.cli.json("alerts", "set", "--url", "https://alerts.example/2")
    assert "secret" not in changed
    to_slack = await dev.cli.json("alerts", "set", "--format", "slack")
    assert "secret" not in to_slack
    # A receiver of unsigned alerts has no secret with which to verify the next ones.
    signed_again = await dev.cli.json("alerts", "set", "--format", "signed")
    assert signed_again["secret"] not in ("", made["secret"])
    await dev.cli.json("alerts", "remove")


async def test_what_cannot_be_a_target_is_refused_without_repeating_it(dev: Dev) -> None:
    for arguments in (
        ("--heartbeat-url", "https://alerts.example"),
        ("--url", "ftp://hidden.example"),
        ("--url", "https://alerts.example", "--secret", "hidden"),
    ):
        ran = await dev.cli.run("alerts", "set", *arguments)
        assert ran.code == 2, ran.err
        assert "hidden" not in ran.out + ran.err
        assert arguments[-2] in ran.err or "--url" in ran.err
    assert await dev.cli.json("alerts", "show") == {"source": None}
