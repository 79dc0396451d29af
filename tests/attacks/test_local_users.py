"""Another user of the same machine, a page in its browser, and a name that was pointed here."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import httpx
import pytest

from destinations.customerio.simulator import Simulator
from emitonce.codec import EncryptionCodec
from emitonce.key_ring import KeyRing
from key_provider import load_secrets
from settings import Settings, SettingsError
from starter.api import failed_attempts
from starter.api.codec import CodecAccess
from starter.cli.connections import create
from starter.dev.codec_server import listen, serve_codec
from starter.dev.running_stack import alone
from tests.security.test_codec_server import TOKEN, codec_server

ANOTHER_USER = 65_534
AS_ANOTHER_USER = f"""
import encodings.idna, os, sys, urllib.error, urllib.request
os.setgid({ANOTHER_USER}); os.setuid({ANOTHER_USER})
request = urllib.request.Request(sys.argv[1], b'{{"payloads": []}}', method="POST")
try:
    print(urllib.request.urlopen(request).status)
except urllib.error.HTTPError as err:
    print(err.code)
"""


def test_data_folder_is_closed_to_others(tmp_path: Path, monkeypatch) -> None:
    for folder in (tmp_path / "new", tmp_path / "older"):
        monkeypatch.setenv("EMITONCE_DATA_DIR", str(folder))
        if folder.name == "older":
            folder.mkdir()
            folder.chmod(0o755)
            with alone(folder):
                pass
        else:
            load_secrets(Settings())
        assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/proc/net/tcp").exists(), reason="needs root, to be another"
)
async def test_codec_without_a_token_answers_its_own_user_alone() -> None:
    listening, endpoint = listen()
    async with serve_codec(listening, EncryptionCodec(KeyRing({"k": b"k" * 32})), CodecAccess()):
        asking = await asyncio.create_subprocess_exec(
            *(sys.executable, "-S", "-c", AS_ANOTHER_USER, f"{endpoint}/decode"),
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await asking.communicate()
        async with httpx.AsyncClient() as http:
            own = await http.post(f"{endpoint}/decode", json={"payloads": []})
    assert own.status_code == 200
    assert said.strip() == b"403"


async def test_guesses_at_the_codec_s_token_are_slowed_down_and_the_right_one_is_not() -> None:
    async with codec_server(token=TOKEN) as http:
        answers = [
            (await http.post("/decode", json={"payloads": []}, headers=bearer(f"wrong{n}")))
            for n in range(failed_attempts.FAILURES + 1)
        ]
        right = await http.post("/decode", json={"payloads": []}, headers=bearer(TOKEN))
    assert [answer.status_code for answer in answers] == [401] * failed_attempts.FAILURES + [429]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert right.status_code == 200


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:9100"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
async def test_pages_neither_steer_the_simulator_nor_read_it(headers: dict[str, str]) -> None:
    simulator = await Simulator().listen()
    async with httpx.AsyncClient() as http:
        root = simulator.base_urls["us"].removesuffix("/v1")
        for method, path in (("GET", "requests"), ("POST", "reset"), ("DELETE", "faults")):
            answer = await http.request(method, f"{root}/_sim/{path}", headers=headers)
            assert answer.status_code == 403, path
            answer = await http.request(method, f"{root}/_sim/{path}")
            assert answer.status_code == 200, path
    await simulator.stop()


def test_production_takes_no_key_from_the_command_line(monkeypatch) -> None:
    monkeypatch.setenv("EMITONCE_ENV", "production")
    with pytest.raises(SettingsError, match="list of processes") as caught:
        create(workspace="w", name="n", region="us", api_key="hunter2")
    assert "hunter2" not in str(caught.value)
