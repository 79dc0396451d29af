"""Each error says which of three things to do: try again, fix the event, or fix the set-up."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from temporalio.client import Client

from emitonce import (
    AsyncHTTPEmitter,
    EmitError,
    Emitter,
    HTTPEmitter,
    IdempotencyConflict,
    InvalidEvent,
    InvalidSetup,
    NotAccepted,
    NotAllowed,
)
from emitonce.ids import event_id_for
from tests.api.caller import Api, open_api
from tests.integration.stack import SAMPLE, SECRET, Stack

PAGE = {"html": "<html>a proxy's page</html>"}
PERSON = {"userId": "usr_2048"}

TRY_AGAIN = (408, 425, 429, *range(500, 600))
FIX_THE_SETUP = (300, 301, 302, 303, 304, 307, 308, 401, 403, 404, 405, 407, 410, 415, 421, 451)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    return waited


def answered(answer: httpx.Response | Exception) -> EmitError:
    """What an emitter raises that gets this answer."""

    def handle(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    emitter = HTTPEmitter(
        "http://api", publishable_key="mesh_pub_x", transport=httpx.MockTransport(handle)
    )
    with pytest.raises(EmitError) as raised:
        emitter.emit("user.signup", PERSON)
    return raised.value


def own(status: int, message: str = "event: must not be blank") -> httpx.Response:
    """An error as the API itself words it."""
    error = {"name": "Whatever", "message": message}
    return httpx.Response(status, json={"message": "Whatever", "error": error})


@pytest.mark.parametrize("status", TRY_AGAIN)
@pytest.mark.parametrize("answer", [lambda s: httpx.Response(s, **PAGE), own])
def test_what_may_pass_by_itself_is_to_be_tried_again(
    status: int, answer: Callable[[int], httpx.Response], no_waiting: list[float]
) -> None:
    assert isinstance(answered(answer(status)), NotAccepted)
    assert len(no_waiting) == 3


@pytest.mark.parametrize("status", FIX_THE_SETUP)
def test_what_another_than_the_api_answers_is_the_set_up_s_fault(
    status: int, no_waiting: list[float]
) -> None:
    error = answered(httpx.Response(status, **PAGE))
    assert isinstance(error, InvalidSetup)
    assert isinstance(error, NotAllowed) == (status in (401, 403))
    assert "http://api" in str(error)
    assert "EMITONCE_URL" in str(error)
    assert not no_waiting


@pytest.mark.parametrize("status", [400, 409, 418, 422])
def test_only_the_api_itself_can_refuse_an_event(status: int) -> None:
    assert isinstance(answered(httpx.Response(status, **PAGE)), InvalidSetup)
    assert isinstance(answered(httpx.Response(status, json={"error": "no"})), InvalidSetup)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_an_event_that_the_api_refuses_is_to_be_fixed(status: int, no_waiting: list[float]) -> None:
    error = answered(own(status))
    assert isinstance(error, InvalidEvent)
    assert str(error) == "event: must not be blank"
    assert not no_waiting


def test_an_event_that_a_proxy_finds_too_large_is_no_obstacle_for_the_others() -> None:
    assert isinstance(answered(httpx.Response(413, **PAGE)), InvalidEvent)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, **PAGE),
        httpx.Response(201, json={"ok": True}),
        httpx.Response(201, json=["event"]),
        httpx.Response(201, json={"event": {"id": 7, "event": "e", "workspace": "w"}}),
        httpx.Response(204),
    ],
    ids=["page", "other_json", "list", "half_an_event", "nothing"],
)
def test_a_success_that_is_not_the_api_s_is_the_set_up_s_fault(answer: httpx.Response) -> None:
    assert isinstance(answered(answer), InvalidSetup)


def test_a_redirect_is_named_without_what_its_address_may_hide() -> None:
    moved = httpx.Response(308, headers={"Location": "https://user:pw@new.example/x?token=s3cret"})
    error = str(answered(moved))
    assert "a redirect to https://new.example" in error
    assert "s3cret" not in error
    assert "pw" not in error


def test_an_untrusted_certificate_is_the_set_up_s_fault() -> None:
    refused = httpx.ConnectError("TLS")
    refused.__cause__ = ssl.SSLCertVerificationError()
    refused.__cause__.verify_message = "self-signed certificate"
    assert isinstance(answered(refused), InvalidSetup)


def test_an_answer_without_tls_is_the_set_up_s_fault() -> None:
    """Of a real server, since the words are OpenSSL's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        answering = threading.Thread(target=_answer_in_clear_text, args=[server], daemon=True)
        answering.start()
        emitter = HTTPEmitter(f"https://127.0.0.1:{port}", publishable_key="mesh_pub_x", tries=1)
        with emitter, pytest.raises(InvalidSetup, match="does not speak TLS"):
            emitter.emit("user.signup", PERSON)
        answering.join()


def _answer_in_clear_text(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(10_000)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")


@pytest.mark.parametrize("port", ["0", "65536", "99999"])
def test_a_port_that_does_not_exist_is_the_set_up_s_fault(port: str) -> None:
    with pytest.raises(InvalidSetup, match="EMITONCE_URL"):
        HTTPEmitter(f"http://127.0.0.1:{port}", publishable_key="mesh_pub_x")


@pytest.mark.parametrize("status", [200, 400])
def test_an_answer_that_is_nested_beyond_reading_is_the_set_up_s_fault(status: int) -> None:
    assert isinstance(answered(httpx.Response(status, content=b"[" * 100_000)), InvalidSetup)


def test_a_path_that_the_api_does_not_have_leads_to_the_url() -> None:
    error = answered(own(404, "Not Found"))
    assert isinstance(error, InvalidSetup)
    assert "404: Not Found; check EMITONCE_URL" in str(error)


def test_the_wait_that_was_asked_for_is_told() -> None:
    asked = httpx.Response(503, headers={"Retry-After": "7"})
    error = answered(asked)
    assert isinstance(error, NotAccepted)
    assert error.retry_after == 7
    dated = answered(httpx.Response(503, headers={"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}))
    assert isinstance(dated, NotAccepted)
    assert dated.retry_after == 0


@pytest.mark.parametrize("url", ["api.internal", "ftp://api", "http://", "http://a:b"])
def test_an_address_that_can_not_be_one_is_refused_before_any_event(url: str) -> None:
    with pytest.raises(InvalidSetup, match="EMITONCE_URL"):
        HTTPEmitter(url, publishable_key="mesh_pub_x")


def test_a_key_that_no_header_can_hold_is_refused_before_any_event() -> None:
    with pytest.raises(InvalidSetup, match="publishable_key: holds a blank, a line break"):
        HTTPEmitter("http://api", publishable_key="mesh_pub_x\n")


@pytest.mark.parametrize("key", ["", " order-1", "order-1\n", "bestellung-ü", "x" * 256])
def test_an_idempotency_key_that_no_header_can_hold_is_refused(key: str) -> None:
    emitter = HTTPEmitter("http://127.0.0.1:9", publishable_key="mesh_pub_x")
    with pytest.raises(InvalidEvent, match="idempotency_key"):
        emitter.emit("user.signup", PERSON, idempotency_key=key)


def test_everything_that_emit_raises_is_in_one_of_the_three_branches() -> None:
    assert issubclass(IdempotencyConflict, InvalidEvent)
    assert issubclass(NotAllowed, InvalidSetup)
    branches = (NotAccepted, InvalidEvent, InvalidSetup)
    assert not any(issubclass(a, b) for a in branches for b in branches if a is not b)


async def test_the_real_api_s_refusals_have_their_branch(api: Api) -> None:
    def raised(emitter: HTTPEmitter, event: str) -> EmitError:
        with emitter, pytest.raises(EmitError) as error:
            emitter.emit(event, PERSON)
        return error.value

    async def asked(emitter: HTTPEmitter, event: str = "user.signup") -> EmitError:
        return await asyncio.to_thread(raised, emitter, event)

    right = HTTPEmitter(api.url, publishable_key=api.public_key)
    # Its blanks are the one thing that the API counts and the client leaves to it.
    assert isinstance(await asked(right, "user.signup" + " " * 90), InvalidEvent)
    wrong_path = HTTPEmitter(f"{api.url}/v2", publishable_key=api.public_key)
    assert isinstance(await asked(wrong_path), InvalidSetup)
    wrong_key = HTTPEmitter(api.url, publishable_key="mesh_pub_a_b_c")
    assert isinstance(await asked(wrong_key), NotAllowed)


async def test_a_namespace_that_is_not_there_is_the_set_up_s_fault(stack: Stack) -> None:
    address = stack.client.service_client.config.target_host
    emitter = await Emitter.connect(address, namespace="nowhere")
    with pytest.raises(InvalidSetup, match="Namespace nowhere is not found"):
        await emitter.emit("user.signup", SAMPLE, workspace=stack.workspace)


async def test_an_address_of_temporal_that_can_not_be_one_is_the_set_up_s_fault() -> None:
    with pytest.raises(InvalidSetup, match="TEMPORAL_ADDRESS"):
        await Emitter.connect("127.0.0.1:abc")
    with pytest.raises(NotAccepted, match="TEMPORAL_ADDRESS"):
        await Emitter.connect("127.0.0.1:9")


@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        (16, NotAllowed, "TEMPORAL_API_KEY"),
        (7, NotAllowed, "TEMPORAL_API_KEY"),
        (12, InvalidSetup, "is not Temporal"),
        (14, NotAccepted, "TEMPORAL_ADDRESS"),
    ],
)
async def test_what_temporal_answers_to_a_connect_has_its_branch(
    status: int, kind: type[EmitError], told: str
) -> None:
    async with answering_grpc(status) as address:
        with pytest.raises(kind, match=told) as raised:
            await Emitter.connect(address)
    assert isinstance(raised.value, NotAllowed) == (kind is NotAllowed)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("TEMPORAL_TLS_CLIENT_CERT_PATH", "/nonexistent"), ("TEMPORAL_PROFILE", "nobody's")],
)
async def test_settings_of_temporal_s_that_can_not_be_read_are_named_so(
    monkeypatch: pytest.MonkeyPatch, setting: str, value: str
) -> None:
    monkeypatch.setenv(setting, value)
    with pytest.raises(InvalidSetup, match="settings can't be read"):
        await Emitter.connect()


async def test_a_namespace_that_is_gone_is_not_the_fault_of_the_api_s_callers(
    stack: Stack,
) -> None:
    config = stack.client.config(active_config=True)
    config["namespace"] = "nowhere"
    async with open_api(stack, client=Client(**config)) as api:
        emitter = AsyncHTTPEmitter(api.url, publishable_key=api.public_key, tries=1)
        async with emitter:
            with pytest.raises(NotAccepted):
                await emitter.emit("user.signup", PERSON)
            many = await api.emit([{"event": "a", "payload": {}}] * 2, path="/events/bulk")
    assert many.status_code == 503


@asynccontextmanager
async def answering_grpc(status: int) -> AsyncIterator[str]:
    """A server that answers every call with this status, and the address where it listens."""

    def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
        head = bytes([*len(payload).to_bytes(3, "big"), kind, flags, *stream.to_bytes(4, "big")])
        return head + payload

    def header(name: bytes, value: bytes) -> bytes:
        return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value

    answer = b"\x88" + header(b"content-type", b"application/grpc")  # 0x88: `:status: 200`
    answer += header(b"grpc-status", str(status).encode())

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(24)  # HTTP/2's preface
        writer.write(frame(4, 0, 0))
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readexactly(9)
                await reader.readexactly(int.from_bytes(head[:3], "big"))
                kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
                if kind == 4 and not flags:  # settings: acknowledge
                    writer.write(frame(4, 1, 0))
                if kind == 1:  # headers: answer, with nothing to follow
                    writer.write(frame(1, 5, stream, answer))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_an_instance_secret_with_a_stray_character_gives_no_other_ids(
    temporal: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = temporal.service_client.config.target_host
    encoded = base64.b64encode(SECRET).decode()
    for stray in (f"{encoded[:5]}-{encoded[5:]}", f"{encoded}\n", f" {encoded}", encoded[:20]):
        monkeypatch.setenv("EMITONCE_INSTANCE_SECRET", stray)
        with pytest.raises(InvalidSetup, match="EMITONCE_INSTANCE_SECRET: ") as refused:
            await Emitter.connect(address)
        assert encoded[:5] not in str(refused.value)
    monkeypatch.setenv("EMITONCE_INSTANCE_SECRET", encoded)
    workspace = "5f0c6a1e-3c1b-4d7e-9a51-0d6f2b8c7e44"
    event = await (await Emitter.connect(address)).emit(
        "user.signup", SAMPLE, workspace=workspace, idempotency_key="order-1"
    )
    assert event.id == event_id_for(SECRET, workspace, "order-1")
