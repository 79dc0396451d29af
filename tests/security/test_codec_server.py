"""The codec server answers those who may read, and tells the others nothing."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from temporalio.api.common.v1 import Payload
from temporalio.converter import WorkflowSerializationContext

from emitonce.codec import EncryptionCodec
from emitonce.key_ring import KeyRing
from starter.api.codec import LARGEST_BODY, CodecAccess, ui_origins
from starter.dev.codec_server import listen, serve_codec

KEYS = {"k2": b"n" * 32, "k1": b"o" * 32}
UI = "http://127.0.0.1:8233"
TOKEN = "t" * 40
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'{"email":"marker@example.com"}')


@asynccontextmanager
async def codec_server(token: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    listening, endpoint = listen()
    access = CodecAccess(token=SecretStr(token) if token else None, origins=(UI,))
    async with (
        serve_codec(listening, EncryptionCodec(KeyRing(KEYS)), access),
        httpx.AsyncClient(base_url=endpoint) as http,
    ):
        yield http


def as_json(*payloads: Payload) -> dict[str, Any]:
    return {
        "payloads": [
            {
                "metadata": {
                    name: base64.b64encode(value).decode()
                    for name, value in payload.metadata.items()
                },
                "data": base64.b64encode(payload.data).decode(),
            }
            for payload in payloads
        ]
    }


async def sealed(keys: dict[str, bytes] = KEYS) -> Payload:
    codec = EncryptionCodec(KeyRing(keys)).with_context(
        WorkflowSerializationContext("default", "5f0c6a1e-3c1b-4d7e-9a51-0d6f2b8c7e44")
    )
    return (await codec.encode([PLAIN]))[0]


async def test_payloads_of_all_keys_are_decoded_in_order_and_plain_ones_pass() -> None:
    body = as_json(await sealed(), PLAIN, await sealed({"k1": KEYS["k1"]}))
    async with codec_server() as http:
        answer = await http.post("/decode", json=body, headers={"X-Namespace": "default"})
        assert answer.status_code == 200
        assert answer.json() == as_json(PLAIN, PLAIN, PLAIN)
        assert answer.headers["cache-control"] == "no-store"
        assert (await http.post("/decode", json={"payloads": []})).json() == {"payloads": []}


async def test_what_is_encoded_there_is_taken_as_any_other_payload() -> None:
    async with codec_server() as http:
        encoded = (await http.post("/encode", json=as_json(PLAIN))).json()
        assert b"marker" not in str(encoded).encode()
        assert (await http.post("/decode", json=encoded)).json() == as_json(PLAIN)


@pytest.mark.parametrize("change", ["bit", "cut", "key", "event"])
async def test_what_can_not_be_decoded_is_refused_and_nothing_revealed(change: str) -> None:
    payload = await sealed()
    if change == "bit":
        payload.data = payload.data[:-1] + bytes([payload.data[-1] ^ 1])
    elif change == "cut":
        payload.data = payload.data[:9]
    elif change == "key":
        payload.metadata["encryption-key-id"] = b"k3"
    else:
        payload.metadata["emitonce-event"] = b"another"
    async with codec_server() as http:
        answer = await http.post("/decode", json=as_json(PLAIN, payload))
    assert answer.status_code == 422
    assert "can't be decrypted" in answer.json()["error"]["message"]
    assert "marker" not in answer.text


@pytest.mark.parametrize(
    "given", [None, "", TOKEN, "Bearer", "Bearer x", f"Bearer {TOKEN}x", f"Basic {TOKEN}"]
)
async def test_without_the_token_nothing_is_decoded_or_encoded(given: str | None) -> None:
    headers = {} if given is None else {"Authorization": given}
    async with codec_server(token=TOKEN) as http:
        for path in ("/decode", "/encode"):
            answer = await http.post(path, json=as_json(await sealed()), headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert TOKEN not in answer.text


async def test_with_the_token_it_answers_under_any_name() -> None:
    headers = {"Authorization": f"bearer {TOKEN}", "Host": "emitonce.example"}
    async with codec_server(token=TOKEN) as http:
        answer = await http.post("/decode", json=as_json(await sealed()), headers=headers)
    assert answer.json() == as_json(PLAIN)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "10.0.0.1", ""])
async def test_without_a_token_it_answers_to_its_own_name_alone(host: str) -> None:
    """A page elsewhere may have its own name pointed at this machine."""
    async with codec_server() as http:
        answer = await http.post(
            "/decode", json=as_json(await sealed()), headers={"Host": host, "Origin": UI}
        )
    assert answer.status_code in (400, 403)
    assert "marker" not in answer.text


async def test_only_the_web_ui_s_pages_may_read_answers() -> None:
    preflight = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-namespace,authorization",
    }
    async with codec_server() as http:
        allowed = await http.options("/decode", headers={"Origin": UI, **preflight})
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == UI
        assert "X-Namespace" in allowed.headers["access-control-allow-headers"]
        assert "Authorization" in allowed.headers["access-control-allow-headers"]
        answered = await http.post("/decode", json=as_json(), headers={"Origin": UI})
        assert answered.headers["access-control-allow-origin"] == UI
        for origin in ("http://evil.example", "null", f"{UI}.evil.example", "http://127.0.0.1"):
            refused = await http.options("/decode", headers={"Origin": origin, **preflight})
            assert refused.status_code == 400
            unread = await http.post("/decode", json=as_json(), headers={"Origin": origin})
            assert "access-control-allow-origin" not in unread.headers


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"payloads": 1}', b'{"payloads": [{"data": 1}]}', b"\xff"]
)
async def test_a_body_that_can_not_be_read_is_refused(body: bytes) -> None:
    async with codec_server() as http:
        answer = await http.post("/decode", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["data"] == [
        {"param": "body", "msg": 'must be JSON of the form {"payloads": […]}'}
    ]


async def test_a_body_without_end_is_cut_off() -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(LARGEST_BODY // 65_536 + 2):
            yield b" " * 65_536

    async with codec_server() as http:
        assert (await http.post("/decode", content=endless())).status_code == 413


def test_the_web_ui_has_two_names_on_its_own_machine_and_one_elsewhere() -> None:
    assert ui_origins("http://127.0.0.1:8233/x") == (
        "http://127.0.0.1:8233",
        "http://localhost:8233",
        "http://[::1]:8233",
    )
    assert ui_origins("https://temporal.example/ui") == ("https://temporal.example",)
    assert ui_origins(None) == ()
