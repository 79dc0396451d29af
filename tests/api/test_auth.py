"""Who may call: forged, stale and foreign tokens are refused, and so is everything without one."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
import pytest

from tests.api.caller import Api, assert_error, filled


def encoded(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


async def status_with(api: Api, token: str) -> int:
    """What a token is answered with. Its key has been right before, so it is always heard."""
    await api.get("/workspaces")
    answer = await api.http.get("/api/v1/workspaces", headers={"Authorization": f"Bearer {token}"})
    if answer.status_code != 200:
        assert_error(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"
        assert api.machine.secret_key not in answer.text
    return answer.status_code


async def test_fresh_token_is_let_in(tenant: Api):
    assert await status_with(tenant, tenant.machine.token()) == 200
    now = int(time.time())
    assert await status_with(tenant, tenant.machine.token(iat=now, exp=now + 60)) == 200
    assert (
        await status_with(tenant, tenant.machine.token(org=tenant.machine.organization.upper()))
        == 200
    )
    # Five seconds of skew either way.
    assert await status_with(tenant, tenant.machine.token(iat=now - 33, exp=now - 3)) == 200
    assert await status_with(tenant, tenant.machine.token(iat=now + 3, exp=now + 33)) == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": -10, "iat": -40},
        {"iat": 20, "exp": 50},
        {"iat": 0, "exp": 61},
        {"iat": 0, "exp": 3_600},
        {"iat": 10, "exp": 5},
    ],
    ids=["expired", "from the future", "61 seconds", "an hour", "ends before it begins"],
)
async def test_token_of_another_time_is_refused(shared_api: Api, changes: dict[str, int]):
    now = int(time.time())
    token = shared_api.machine.token(**{name: now + offset for name, offset in changes.items()})
    assert await status_with(shared_api, token) == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": None},
        {"iat": None},
        {"iss": None},
        {"aud": None},
        {"org": None},
        {"iss": "urn:meshes:m2m:mk_0123456789abcdef012345"},
        {"aud": "another-api"},
        {"aud": ["meshes-api"]},
        {"org": "0933f0d9-f6dc-4889-8d0d-9efcb53580fb"},
        {"org": {"id": "x"}},
        {"exp": "soon"},
        {"exp": True},
        {"exp": 1e400},
        {"iat": "1"},
        {"nbf": 32_503_680_000},
    ],
    ids=str,
)
async def test_token_with_a_wrong_claim_is_refused(shared_api: Api, changes: dict[str, Any]):
    assert await status_with(shared_api, shared_api.machine.token(**changes)) == 401


async def test_forged_signature_is_refused(api: Api):
    header, claims, signature = api.machine.token().split(".")
    other = jwt.encode(
        api.machine.claims(),
        "x" * 43,
        algorithm="HS256",
        headers={"kid": api.machine.access_key},
    )
    stranger = await api.stranger()
    longer = encoded(api.machine.claims(exp=int(time.time()) + 59))
    for token in (
        other,
        f"{header}.{claims}.",
        f"{header}.{claims}.{signature[:-4]}AAAA",
        f"{header}.{longer}.{signature}",
        # Signed with the stranger's own secret, in the name of ours.
        jwt.encode(
            api.machine.claims(),
            stranger.secret_key,
            algorithm="HS256",
            headers={"kid": api.machine.access_key},
        ),
        # The stranger's key, for our organization.
        stranger.token(org=api.machine.organization),
    ):
        assert await status_with(api, token) == 401


@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
async def test_other_algorithms_are_refused(api: Api):
    claims, kid = api.machine.claims(), api.machine.access_key
    for algorithm in ("none", "None", "NONE", "HS384", "HS512", "RS256", "", None, ["HS256"], 7):
        header = {"alg": algorithm, "typ": "JWT", "kid": kid}
        for signature in ("", encoded(b"x" * 32)):
            token = f"{encoded(header)}.{encoded(claims)}.{signature}"
            assert await status_with(api, token) == 401
    for algorithm in ("HS384", "HS512"):  # honestly signed, with the right secret
        token = jwt.encode(
            claims, api.machine.secret_key, algorithm=algorithm, headers={"kid": kid}
        )
        assert await status_with(api, token) == 401


@pytest.mark.parametrize(
    "kid", [None, "", "mk_", 7, ["mk"], "mk_' OR 1=1 --xxxxxxxxxxxxxx", "mk_\0" + "a" * 22]
)
async def test_key_that_is_none_is_refused(tenant: Api, kid: Any):
    token = f"{encoded({'alg': 'HS256', 'kid': kid})}.{encoded(tenant.machine.claims())}.AAAA"
    assert await status_with(tenant, token) == 401


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "a.b",
        "..",
        "a.b.c.d",
        f"{encoded(b'not json')}.e30.AAAA",
        f"{encoded(b'[' * 3_000)}.e30.AAAA",
        f"{encoded([])}.e30.AAAA",
        "x" * 20_000,
    ],
    ids=["one part", "two", "empty", "four", "no JSON", "nested", "a list", "long"],
)
async def test_what_is_no_token_is_refused(shared_api: Api, token: str):
    assert await status_with(shared_api, token) == 401


async def test_claims_that_can_not_be_read_are_refused(api: Api):
    """Signed with the right secret, but no JSON object a reader could trust."""
    header = {"alg": "HS256", "kid": api.machine.access_key}
    for claims in (b"[" * 2_000, b"[]", b"\xff", b"{", b'{"exp": NaN}', b'{"iat": Infinity}'):
        token = jwt.api_jws.encode(
            claims, api.machine.secret_key, algorithm="HS256", headers=header
        )
        assert await status_with(api, token) == 401


async def test_revoked_key_is_refused(api: Api):
    assert await status_with(api, api.machine.token()) == 200
    keys = api.stack.catalog.machine_keys
    for key in await keys.list(api.stack.organization):
        await keys.revoke(api.stack.organization, key.id)
    assert await status_with(api, api.machine.token()) == 401


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Basic dXNlcjpwYXNz", "bearer", "Token x", "Bearer\t."],
)
async def test_management_needs_a_bearer_token(tenant: Api, header: str):
    headers = {"Authorization": header} if header else {}
    headers["X-Meshes-Publishable-Key"] = tenant.public_key
    assert_error(await tenant.http.get("/api/v1/workspaces", headers=headers), 401)


async def test_every_operation_needs_a_key_before_it_reads_anything(tenant: Api):
    document = (await tenant.http.get("/openapi.json")).json()
    asked = 0
    for path, operations in document["paths"].items():
        if not path.startswith("/api/"):
            continue
        path = filled(path, {})
        for method in operations:
            answer = await tenant.http.request(method, path, content=b"{not json")
            assert_error(answer, 401)
            if method != "post" or path not in ("/api/v1/events", "/api/v1/events/bulk"):
                answer = await tenant.http.request(
                    method, path, headers={"X-Meshes-Publishable-Key": tenant.public_key}
                )
                assert_error(answer, 401)
            asked += 1
    assert asked >= 40


@pytest.mark.parametrize(
    "key",
    ["", "mesh_pub_a_b", "pk_live_x", "mesh_pub_a_b_c_d", "mesh_pub_abc_def_ghi", "x" * 9_000],
)
async def test_publishable_key_that_is_none_is_refused(api: Api, key: str):
    """Each by an API of its own, which doesn't yet make this address wait for its wrong keys."""
    answer = await api.http.post(
        "/api/v1/events",
        content=b'{"event": "a", "payload": {}}',
        headers={"X-Meshes-Publishable-Key": key},
    )
    assert_error(answer, 401)


async def test_secrets_never_leave(tenant: Api):
    await tenant.stack.connection(api_key="cdp-key-that-nobody-sees")
    await tenant.stack.rule()
    created = await tenant.emitted()
    await tenant.ended(created["id"])
    ids = {
        "workspace_id": tenant.stack.workspace,
        "connection_id": (await tenant.get("/connections")).json()["records"][0]["id"],
        "rule_id": (await tenant.get("/rules")).json()["records"][0]["id"],
        "event_id": created["id"],
    }
    document = (await tenant.http.get("/openapi.json")).json()
    for path, operations in document["paths"].items():
        if "get" not in operations:
            continue
        path = filled(path, ids)
        params = {"workspace_id": tenant.stack.workspace} if path.endswith("/sessions") else None
        answer = await tenant.http.get(path, params=params, headers=tenant.machine.headers())
        assert answer.status_code in (200, 404), (path, answer.text)
        for secret in ("cdp-key-that-nobody-sees", "sim-us-key", tenant.machine.secret_key):
            assert secret not in answer.text
