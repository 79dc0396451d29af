"""Codecs of other SDKs: what they encrypt is delivered, and they read what we have encrypted."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from emitonce.codec import ENCODING, KEY_ID
from tests.clients.conftest import run
from tests.clients.test_examples import UUID, copied, needs, pytestmark
from tests.integration.stack import Stack
from tests.security.conftest import OLD_KEY, sealed

__all__ = ["pytestmark", "sealed"]

KEY = f"k1:{base64.b64encode(OLD_KEY['k1']).decode()}"


@pytest.mark.parametrize(
    ("name", "commands"),
    [
        pytest.param("go", [["go", "run", "."]], marks=needs("go")),
        pytest.param(
            "typescript",
            [
                ["npm", "ci", "--silent", "--no-audit", "--no-fund"],
                [
                    *("npx", "tsc", "--noEmit", "--strict", "--skipLibCheck", "--target", "es2022"),
                    *("--module", "nodenext", "start-event.ts"),
                ],
                ["npm", "run", "--silent", "start"],
            ],
            marks=needs("npm"),
        ),
    ],
)
async def test_an_event_encrypted_by_another_sdk_is_delivered_and_its_result_read(
    sealed: Stack, tmp_path: Path, name: str, commands: list[list[str]]
) -> None:
    await sealed.rule()
    folder = copied(name, tmp_path)
    settings = {
        "TEMPORAL_ADDRESS": sealed.client.service_client.config.target_host,
        "EMITONCE_WORKSPACE": sealed.workspace,
        "EMITONCE_TASK_QUEUE": sealed.task_queue,
        "EMITONCE_PAYLOAD_KEY": KEY,
        "EMITONCE_WAIT": "1",
    }
    async with sealed.make_worker():
        for command in commands:
            ran = await run(*command, cwd=folder, seconds=500, **settings)
            assert ran.code == 0, ran.out
    assert "completed" in ran.out  # decrypted there
    event_id = UUID.findall(ran.out)[-1]
    history = await sealed.client.get_workflow_handle(event_id).fetch_history()
    [stored] = history.events[0].workflow_execution_started_event_attributes.input.payloads
    assert dict(stored.metadata) == {"encoding": ENCODING, KEY_ID: b"k1"}
    assert b"example.com" not in stored.data
    assert len(sealed.calls()) == 2
